"""Sessions: opened by a login, renewed by rotating refresh tokens, ended once and for ever."""

from datetime import datetime, timedelta
from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.facts import NIL, Event, Events, State
from zeroinvoice.kernel.refusals import Unauthenticated

LONGEST = timedelta(days=30)  # absolute life of a session, however often it is renewed
IDLE = timedelta(days=14)  # life of a refresh token that is not used
GRACE = timedelta(seconds=10)  # in which the token before the last gets the same successor

EndReason = Literal["logout", "password_reset", "reuse", "displaced", "removed"]

# Events


class SessionStarted(Event):
    user_id: UUID


class SessionRenewed(Event):
    generation: int  # of the refresh token given out, 1 at the start


class RefreshReuseDetected(Event):
    generation: int  # of the old token that came back


class SessionEnded(Event):
    reason: EndReason


SessionEvent = SessionStarted | SessionRenewed | RefreshReuseDetected | SessionEnded

# State


class Session(State[SessionEvent]):
    user_id: UUID = NIL
    generation: int = 0
    ended: EndReason | None = None

    def evolve(self, event: SessionEvent) -> Self:
        match event:
            case SessionStarted(user_id=user_id):
                return self.but(user_id=user_id, generation=1)
            case SessionRenewed(generation=generation):
                return self.but(generation=generation)
            case RefreshReuseDetected():
                return self
            case SessionEnded(reason=reason):
                return self.but(ended=reason)
            case _:
                assert_never(event)

    def start(self, user_id: UUID) -> Events:
        assert self.version == 0, "a session is started once"
        yield SessionStarted(user_id)

    def renew(self, generation: int, now: datetime) -> Events:
        """Rotate the refresh token. A token that was used before ends the session (RFC 9700).

        Within the grace time the token before the last gets the successor it already has,
        so a client that lost the answer is not thrown out.
        """
        self.assert_open(now)
        assert self.changed_at is not None
        if generation == self.generation:
            if now - self.changed_at > IDLE:
                raise Unauthenticated("This session has not been used for too long.")
            yield SessionRenewed(generation + 1)
        elif generation != self.generation - 1 or now - self.changed_at > GRACE:
            yield RefreshReuseDetected(generation)
            yield SessionEnded("reuse")

    def end(self, reason: EndReason) -> Events:
        if self.version and self.ended is None:
            yield SessionEnded(reason)

    def assert_open(self, now: datetime) -> None:
        """Raises `Unauthenticated` unless the session stands."""
        if self.version == 0 or self.ended is not None:
            raise Unauthenticated("This session has ended; log in again.")
        assert self.created_at is not None
        if now - self.created_at > LONGEST:
            raise Unauthenticated("This session is too old; log in again.")
