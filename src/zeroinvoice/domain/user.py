"""Users: people with an account, their password's hash, their open sessions and devices."""

from datetime import UTC, datetime
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.client import plausible_email
from zeroinvoice.domain.session import HALF_LASTS, LONGEST
from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.refusals import Invalid, Unauthenticated
from zeroinvoice.kernel.value import Value

MOST_SESSIONS = 250  # open at once; one more login ends the oldest
MOST_HALF = 20  # logins that wait for a second factor; one more voids the oldest
MOST_DEVICES = 50  # remembered; the one seen longest ago is forgotten

BEFORE = datetime.min.replace(tzinfo=UTC)

# Events


class UserRegistered(Event):
    email: str  # as it was typed
    full_name: str
    password_hash: str  # PHC string
    locale: str  # BCP 47
    device: str  # a mark of the program and network it came from; see `domain.access`


class LoggedIn(Event):
    session_id: UUID
    device: str
    new_device: bool
    displaced: UUID | None = None  # the oldest session, ended to make room


class SecondFactorAsked(Event):
    """The password was right; the session is whole when a code has come, too."""

    session_id: UUID


class LoggedOut(Event):
    session_id: UUID


class OthersLoggedOut(Event):
    """The second factor was switched on or off: every session ended but the one that did it."""

    session_id: UUID


class SessionRevoked(Event):
    """A refresh token that had been used before came back: somebody has a copy."""

    session_id: UUID


class LoginFailed(Event):
    """A wrong password. From where is the fact's origin; what was typed is not kept."""


class PasswordReset(Event):
    """A new password by a mailed token; every session ended with it."""

    password_hash: str


class AccountClosed(Event):
    """They are no member of their workspace any more; every session ended with it."""


UserEvent = (
    UserRegistered
    | LoggedIn
    | SecondFactorAsked
    | LoggedOut
    | OthersLoggedOut
    | SessionRevoked
    | LoginFailed
    | PasswordReset
    | AccountClosed
)

# State


class OpenSession(Value):
    id: UUID
    since: datetime


class User(State[UserEvent]):
    email: str = ""
    full_name: str = ""
    password_hash: str = ""
    locale: str = "en"
    sessions: tuple[OpenSession, ...] = ()  # the oldest first
    half: tuple[OpenSession, ...] = ()  # those that wait for a second factor
    devices: tuple[str, ...] = ()  # the one seen last is last

    def evolve(self, event: UserEvent) -> Self:
        match event:
            case UserRegistered(email, full_name, password_hash, locale, device):
                return self.but(
                    email=email,
                    full_name=full_name,
                    password_hash=password_hash,
                    locale=locale,
                    devices=(device,),
                )
            case LoggedIn(session_id=id, device=device, displaced=displaced):
                now = self.changed_at or BEFORE
                others = tuple(it for it in self.open_sessions(now) if it.id != displaced)
                known = tuple(it for it in self.devices if it != device)
                return self.but(
                    sessions=(*others, OpenSession(id, now)),
                    half=tuple(it for it in self.half if it.id != id),
                    devices=(*known, device)[-MOST_DEVICES:],
                )
            case SecondFactorAsked(session_id=id):
                now = self.changed_at or BEFORE
                recent = tuple(it for it in self.half if it.since + HALF_LASTS > now)
                return self.but(half=(*recent, OpenSession(id, now))[-MOST_HALF:])
            case OthersLoggedOut(session_id=id):
                return self.but(sessions=tuple(it for it in self.sessions if it.id == id), half=())
            case LoggedOut(session_id=id) | SessionRevoked(session_id=id):
                return self.but(
                    sessions=tuple(it for it in self.sessions if it.id != id),
                    half=tuple(it for it in self.half if it.id != id),
                )
            case LoginFailed():
                return self
            case PasswordReset(password_hash=password_hash):
                return self.but(password_hash=password_hash, sessions=(), half=())
            case AccountClosed():
                return self.but(sessions=(), half=())
            case _:
                assert_never(event)

    def open_sessions(self, now: datetime) -> tuple[OpenSession, ...]:
        """Those that were not ended and are not too old."""
        return tuple(it for it in self.sessions if it.since + LONGEST > now)

    def register(
        self, email: str, full_name: str, password_hash: str, locale: str, device: str
    ) -> Events:
        email, full_name = email.strip(), full_name.strip()
        check_email(email)
        if not full_name.isprintable() or not full_name:
            raise Invalid("Please tell your name.", code="bad_name")
        yield UserRegistered(email, full_name, password_hash, locale, device)

    def log_in(
        self, session_id: UUID, device: str, now: datetime, *, formerly: tuple[str, ...] = ()
    ) -> Events:
        standing = self.open_sessions(now)
        displaced = standing[0].id if len(standing) >= MOST_SESSIONS else None
        new_device = not any(it in self.devices for it in (device, *formerly))
        yield LoggedIn(session_id, device, new_device, displaced)

    def ask_second_factor(self, session_id: UUID) -> Events:
        yield SecondFactorAsked(session_id)

    def assert_asked(self, session_id: UUID) -> None:
        """Raises `Unauthenticated` unless this login still waits for a second factor."""
        if all(it.id != session_id for it in self.half):
            raise Unauthenticated("This login is over; begin again with the password.")

    def fail_login(self) -> Events:
        yield LoginFailed()

    def log_out(self, session_id: UUID) -> Events:
        if any(it.id == session_id for it in (*self.sessions, *self.half)):
            yield LoggedOut(session_id)

    def log_out_others(self, session_id: UUID) -> Events:
        if self.half or any(it.id != session_id for it in self.sessions):
            yield OthersLoggedOut(session_id)

    def revoke(self, session_id: UUID) -> Events:
        if any(it.id == session_id for it in self.sessions):
            yield SessionRevoked(session_id)

    def reset_password(self, password_hash: str) -> Events:
        yield PasswordReset(password_hash)

    def close(self) -> Events:
        yield AccountClosed()


def check_email(address: str) -> None:
    """Raises `Invalid` for what no letter could be addressed to."""
    if not (plausible_email(address) and address.isprintable()):
        raise Invalid("This is not an e-mail address.", code="bad_email")
