"""Access: how people get in, stay in and get out; decisions over several streams at once."""

from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

from zeroinvoice.domain.mailbox import Mailbox, mailbox_id
from zeroinvoice.domain.session import EndReason, Session
from zeroinvoice.domain.throttle import (
    PER_ACCOUNT,
    PER_NETWORK,
    Purpose,
    Throttle,
    network_of,
    throttle_id,
)
from zeroinvoice.domain.two_factor import Proof, TwoFactor, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import HOUSE, State
from zeroinvoice.kernel.refusals import Unauthenticated
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.kernel.value import Value

S = TypeVar("S", bound=State[Any])


class Streams(Protocol):
    """A desk or a reader: whatever can be asked for a stream's state."""

    now: datetime

    def find(self, kind: type[S], id: UUID, *, tenant: UUID | None = None) -> S: ...


class Caller(Value):
    """Where a request comes from, as far as attempts and devices are told apart."""

    network: str
    device: str
    formerly: tuple[str, ...] = ()  # how the device was known under former keys

    @classmethod
    def of(cls, ip: str | None, agent: str, keyring: Keyring) -> "Caller":
        """A device is a program in a provider's network: the rest changes too often to warn of."""
        block = network_of(ip, bits_v4=16, bits_v6=32)
        marks = (seal[:22] for seal in keyring.seals("device", f"{block} {agent}"))
        device, *formerly = marks
        return cls(network_of(ip), device, tuple(formerly))


class Registration(Value):
    email: str
    full_name: str
    password_hash: str
    locale: str
    workspace: Settings
    log_in: bool


class Unproved(Value):
    """What somebody said to prove who they are, and was wrong; the attempt is on record."""

    what: Literal["password", "code"]


def register(
    desk: Desk, asked: Registration, caller: Caller
) -> tuple[User, Workspace, Session | None] | None:
    """Claim the address, open a workspace for its owner; None when the address is taken.

    A taken address is counted, so that nobody learns by trying who has an account here.
    """
    _admit(desk, "registration", caller)
    mailbox = desk.find(Mailbox, mailbox_id(asked.email), tenant=HOUSE)
    if mailbox.claimed:
        _count(desk, "registration", caller)
        return None
    tenant, user_id = desk.new_id(), desk.new_id()
    desk.record(mailbox, mailbox.claim(user_id, tenant), tenant=HOUSE)
    workspace = desk.new(Workspace, tenant, tenant=tenant)
    workspace = desk.record(workspace, workspace.open(user_id, asked.workspace), tenant=tenant)
    user = desk.new(User, user_id, tenant=tenant)
    registered = user.register(
        asked.email, asked.full_name, asked.password_hash, asked.locale, caller.device
    )
    user = desk.record(user, registered, tenant=tenant)
    if not asked.log_in:
        return user, workspace, None
    user, session = _begin(desk, user, tenant, caller)
    return user, workspace, session


def known(streams: Streams, mailbox: UUID, caller: Caller) -> tuple[User, UUID]:
    """Whom an address belongs to, and in which tenant; a blank user when it is nobody's.

    Raises `Throttled` while too many attempts have failed. A stranger costs as many
    look-ups as a user, so the time taken tells nothing.
    """
    _admit(streams, "login", caller, mailbox)
    box = streams.find(Mailbox, mailbox, tenant=HOUSE)
    return streams.find(User, box.user_id, tenant=box.tenant), box.tenant


def log_in(
    desk: Desk, mailbox: UUID, matched: str | None, caller: Caller, proof: Proof | None = None
) -> tuple[Session, UUID] | Unproved:
    """Begin a session in the user's tenant, or record the failure.

    `matched` is the hash that the password was found to match; it must still be the user's.
    Either failure of it is three facts, so nobody can tell a known address by counting.
    With a second factor on and no code of it, the session is begun by half.
    """
    user, tenant = known(desk, mailbox, caller)
    if matched is None or not user.version or user.password_hash != matched:
        _count(desk, "login", caller, mailbox)
        if user.version:
            desk.record(user, user.fail_login(), tenant=tenant)
        else:
            box = desk.find(Mailbox, mailbox, tenant=HOUSE)
            desk.record(box, box.turn_away(), tenant=HOUSE)
        return Unproved("password")
    _forgive(desk, caller, mailbox)
    factor = desk.find(TwoFactor, two_factor_of(tenant, user.id), tenant=tenant)
    if factor.on and proof is None:
        session = desk.new(Session, tenant=tenant)
        session = desk.record(session, session.start(user.id, half=True), tenant=tenant)
        desk.record(user, user.ask_second_factor(session.id), tenant=tenant)
        return session, tenant
    if factor.on and proof is not None:
        factor = desk.record(factor, factor.prove(proof, desk.now), tenant=tenant)
        if not factor.convinced:
            return Unproved("code")
    _, session = _begin(desk, user, tenant, caller)
    return session, tenant


def finish(
    desk: Desk, session_id: UUID, proof: Proof, caller: Caller
) -> tuple[Session, TwoFactor] | Unproved:
    """Make a session whole that was begun by half, or record a wrong code; the last one ends it."""
    session = desk.open(Session, session_id)
    user = desk.open(User, session.user_id)
    passed = [*session.pass_second_factor(desk.now)]
    user.assert_asked(session_id)
    factor = desk.find(TwoFactor, two_factor_of(desk.tenant, user.id))
    if not factor.on:
        raise Unauthenticated("No second factor is on any more; begin again with the password.")
    factor = desk.record(factor, factor.prove(proof, desk.now))
    if not factor.convinced:
        if factor.locked(desk.now):
            desk.record(session, session.end("wrong_codes"))
        return Unproved("code")
    session = desk.record(session, passed)
    _enter(desk, user, session, desk.tenant, caller)
    return session, factor


def renew(desk: Desk, session_id: UUID, generation: int) -> Session:
    """Rotate a refresh token; answers a session that has ended when the token was used before."""
    session = desk.open(Session, session_id)
    session = desk.record(session, session.renew(generation, desk.now))
    if session.ended:
        user = desk.find(User, session.user_id)
        desk.record(user, user.revoke(session_id))
    return session


def log_out(desk: Desk, session_id: UUID) -> None:
    session = desk.open(Session, session_id)
    desk.record(session, session.end("logout"))
    user = desk.find(User, session.user_id)
    desk.record(user, user.log_out(session_id))


def ask_reset(desk: Desk, mailbox: UUID, caller: Caller) -> None:
    """Ask for a letter with a token. The same facts whether or not there is such a user."""
    _admit(desk, "password_reset", caller)
    _count(desk, "password_reset", caller)
    box = desk.find(Mailbox, mailbox, tenant=HOUSE)
    desk.record(box, box.ask_reset(desk.now), tenant=HOUSE)


def reset(desk: Desk, mailbox: UUID, version: int, password_hash: str, caller: Caller) -> User:
    """Set a new password by a token; every session ends in the same commit."""
    box = desk.find(Mailbox, mailbox, tenant=HOUSE)
    box = desk.record(box, box.use_reset(version, desk.now), tenant=HOUSE)
    user = desk.open(User, box.user_id, tenant=box.tenant)
    end_sessions(desk, user, box.tenant, "password_reset")
    _forgive(desk, caller, mailbox)
    return desk.record(user, user.reset_password(password_hash), tenant=box.tenant)


def end_sessions(
    desk: Desk, user: User, tenant: UUID, reason: EndReason, *, but: UUID | None = None
) -> None:
    """End every session of a user, whole or half, or all but one."""
    for standing in (*user.sessions, *user.half):
        if standing.id != but:
            session = desk.open(Session, standing.id, tenant=tenant)
            desk.record(session, session.end(reason), tenant=tenant)


def may_try(streams: Streams, user: User, caller: Caller) -> None:
    """Raises `Throttled` while too many passwords of a user were wrong, from where this comes."""
    _admit(streams, "login", caller, mailbox_id(user.email))


def prove_password(
    desk: Desk, user: User, matched: str | None, caller: Caller
) -> tuple[User, bool]:
    """Whether the password of somebody logged in was right; a wrong one is on record."""
    may_try(desk, user, caller)
    if matched is not None and user.password_hash == matched:
        return user, True
    _count(desk, "login", caller, mailbox_id(user.email))
    return desk.record(user, user.fail_login()), False


def _begin(desk: Desk, user: User, tenant: UUID, caller: Caller) -> tuple[User, Session]:
    session = desk.new(Session, tenant=tenant)
    session = desk.record(session, session.start(user.id), tenant=tenant)
    return _enter(desk, user, session, tenant, caller), session


def _enter(desk: Desk, user: User, session: Session, tenant: UUID, caller: Caller) -> User:
    before = user.open_sessions(desk.now)
    logged_in = user.log_in(session.id, caller.device, desk.now, formerly=caller.formerly)
    user = desk.record(user, logged_in, tenant=tenant)
    after = {it.id for it in user.sessions}
    for displaced in (it for it in before if it.id not in after):
        oldest = desk.open(Session, displaced.id, tenant=tenant)
        desk.record(oldest, oldest.end("displaced"), tenant=tenant)
    return user


def _admit(streams: Streams, purpose: Purpose, caller: Caller, account: UUID | None = None) -> None:
    for id, free in _throttles(purpose, caller, account):
        streams.find(Throttle, id, tenant=HOUSE).admit(free, streams.now)


def _count(desk: Desk, purpose: Purpose, caller: Caller, account: UUID | None = None) -> None:
    for id, _ in _throttles(purpose, caller, account):
        throttle = desk.find(Throttle, id, tenant=HOUSE)
        desk.record(throttle, throttle.count(purpose), tenant=HOUSE)


def _forgive(desk: Desk, caller: Caller, account: UUID) -> None:
    # Not the network's: whoever has one account here could else guess at others for ever.
    throttle = desk.find(Throttle, throttle_id("login", caller.network, account.hex), tenant=HOUSE)
    desk.record(throttle, throttle.forgive(), tenant=HOUSE)


def _throttles(purpose: Purpose, caller: Caller, account: UUID | None) -> list[tuple[UUID, int]]:
    # An account's is bound to the network too: nobody can lock out the owner from elsewhere.
    found = [(throttle_id(purpose, caller.network), PER_NETWORK)]
    if account is not None:
        found.append((throttle_id(purpose, caller.network, account.hex), PER_ACCOUNT))
    return found
