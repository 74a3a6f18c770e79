"""Sessions: opened by a login, renewed by rotating refresh tokens, ended once and for ever."""

from datetime import datetime, timedelta
from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.facts import NIL, Event, Events, State
from zeroinvoice.kernel.refusals import Forbidden, Unauthenticated

LONGEST = timedelta(days=30)  # absolute life of a session, however often it is renewed
IDLE = timedelta(days=14)  # life of a refresh token that is not used
GRACE = timedelta(seconds=10)  # in which the token before the last gets the same successor
HALF_LASTS = timedelta(minutes=5)  # in which a second factor must follow the password
FRESH = timedelta(minutes=10)  # for which somebody counts as having just said who they are

EndReason = Literal[
    "logout", "password_reset", "reuse", "displaced", "wrong_codes", "second_factor", "removed"
]

# Events


class SessionStarted(Event, omit_defaults=True):
    user_id: UUID
    half: bool = False  # the password was right, and a second factor is still to come


class SecondFactorPassed(Event):
    """A session that was begun by half is whole."""


class SessionConfirmed(Event):
    """Whoever holds the session said again who they are."""


class SessionRenewed(Event):
    generation: int  # of the refresh token given out, 1 at the start


class RefreshReuseDetected(Event):
    generation: int  # of the old token that came back


class SessionEnded(Event):
    reason: EndReason


SessionEvent = (
    SessionStarted
    | SecondFactorPassed
    | SessionConfirmed
    | SessionRenewed
    | RefreshReuseDetected
    | SessionEnded
)

# State


class Session(State[SessionEvent]):
    user_id: UUID = NIL
    half: bool = False
    generation: int = 0
    renewed_at: datetime | None = None  # when the latest refresh token was given out
    proved_at: datetime | None = None  # when its user last proved to be themselves
    ended: EndReason | None = None

    def evolve(self, event: SessionEvent) -> Self:
        match event:
            case SessionStarted(user_id=user_id, half=half):
                begun = self.but(user_id=user_id, half=half, generation=1)
                return begun.but(renewed_at=self.changed_at, proved_at=self.changed_at)
            case SecondFactorPassed():
                now = self.changed_at
                return self.but(half=False, renewed_at=now, proved_at=now)
            case SessionConfirmed():
                return self.but(proved_at=self.changed_at)
            case SessionRenewed(generation=generation):
                return self.but(generation=generation, renewed_at=self.changed_at)
            case RefreshReuseDetected():
                return self
            case SessionEnded(reason=reason):
                return self.but(ended=reason)
            case _:
                assert_never(event)

    def start(self, user_id: UUID, *, half: bool = False) -> Events:
        assert self.version == 0, "a session is started once"
        yield SessionStarted(user_id, half)

    def pass_second_factor(self, now: datetime) -> Events:
        """Make it whole. Raises `Unauthenticated` when it is already, or was begun too long ago."""
        self.assert_standing(now)
        if not self.half:
            raise Unauthenticated("This login is over; begin again with the password.")
        yield SecondFactorPassed()

    def confirm(self) -> Events:
        yield SessionConfirmed()

    def renew(self, generation: int, now: datetime) -> Events:
        """Rotate the refresh token. A token that was used before ends the session (RFC 9700).

        Within the grace time the token before the last gets the successor it already has,
        so a client that lost the answer is not thrown out.
        """
        self.assert_open(now)
        assert self.renewed_at is not None
        if generation == self.generation:
            if now - self.renewed_at > IDLE:
                raise Unauthenticated("This session has not been used for too long.")
            yield SessionRenewed(generation + 1)
        elif generation != self.generation - 1 or now - self.renewed_at > GRACE:
            yield RefreshReuseDetected(generation)
            yield SessionEnded("reuse")

    def end(self, reason: EndReason) -> Events:
        if self.version and self.ended is None:
            yield SessionEnded(reason)

    def assert_open(self, now: datetime) -> None:
        """Raises `Unauthenticated` unless the session stands, `Forbidden` while it is half."""
        self.assert_standing(now)
        if self.half:
            raise Forbidden(
                "Send the code of your second factor first.", code="second_factor_pending"
            )

    def assert_fresh(self, now: datetime) -> None:
        """Raises `Forbidden` unless its user has lately proved to be themselves."""
        if self.proved_at is None or now - self.proved_at > FRESH:
            raise Forbidden(
                "Confirm who you are first, with POST /api/auth/confirm.",
                code="confirmation_required",
            )

    def assert_standing(self, now: datetime) -> None:
        """Raises `Unauthenticated` unless it was begun, whole or half, and has not ended."""
        if self.version == 0 or self.ended is not None:
            raise Unauthenticated("This session has ended; log in again.")
        assert self.created_at is not None
        if now - self.created_at > LONGEST:
            raise Unauthenticated("This session is too old; log in again.")
        if self.half and now - self.created_at > HALF_LASTS:
            raise Unauthenticated("This login is over; begin again with the password.")
