"""Operations on access: sessions that are renewed, and logins with a second factor."""

from typing import NamedTuple
from uuid import UUID

from offices import PASSWORD, Office
from operation import Operation, Sent

from zeroinvoice.domain import access
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.two_factor import (
    Proof,
    TwoFactor,
    code_of,
    step_of,
    two_factor_of,
)
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk


class Holder(NamedTuple):
    """Somebody with a second factor, and a workspace of their own."""

    email: str
    tenant: UUID
    user: UUID
    secret: str
    backup_code: str
    mfa_token: str = ""  # of a login that waits for a code

    @property
    def code(self) -> str:
        """The code after the one their authenticator shows: it is good for a minute or more."""
        return code_of(self.secret, step_of(system_clock()) + 1)


def renewable(desk: Desk, office: Office) -> str:
    """The refresh token of a session of its own."""
    session = desk.new(Session)
    session = desk.record(session, session.start(office.user))
    return office.tokens.refresh(office.tenant, session.id, session.generation)


def holder(desk: Desk, office: Office) -> Holder:
    email = f"{desk.new_id().hex}@example.com"
    registered = access.register(desk, office.visitor(email), access.Caller("faults", "faults"))
    assert registered is not None
    tenant, user = registered[1].id, registered[0].id
    factor = desk.find(TwoFactor, two_factor_of(tenant, user), tenant=tenant)
    keys = office.factor_keys(tenant, user)
    secret_id, codes_id = desk.new_id(), desk.new_id()
    secret = keys.secret(secret_id)
    factor = desk.record(factor, factor.prepare(user, secret_id), tenant=tenant)
    first = Proof(keys, code_of(secret, step_of(desk.now) - 1))
    desk.record(factor, factor.enable(first, codes_id, desk.now), tenant=tenant)
    return Holder(email, tenant, user, secret, keys.backup_codes(codes_id)[0])


def half_way(desk: Desk, office: Office) -> Holder:
    """Somebody whose password was right just now."""
    it = holder(desk, office)
    caller = access.Caller("faults", "faults")
    done = access.log_in(desk, access.mailbox_id(it.email), office.hashed, caller)
    assert isinstance(done, tuple)
    session, tenant = done
    return it._replace(
        mfa_token=office.tokens.half_way(it.user, tenant, session.id, system_clock())
    )


def _login(it: Holder, **more: str) -> Sent:
    return "POST", "/api/auth/login", {"username": it.email, "password": PASSWORD, **more}


ACCESS = (
    Operation(
        "renew session",
        lambda token, mark: ("POST", "/api/auth/refresh", {"refresh_token": token}),
        ("SessionRenewed",),
        needs=renewable,
    ),
    Operation(
        "log in by half",
        lambda it, mark: _login(it),
        ("SessionStarted", "SecondFactorAsked"),
        needs=holder,
        weight=1,
        form=True,
    ),
    Operation(
        "finish by a backup code",
        lambda it, mark: (
            "POST",
            "/api/auth/2fa/verify-backup",
            {"code": it.backup_code, "mfa_token": it.mfa_token},
        ),
        ("SecondFactorPassed", "LoggedIn", "BackupCodeUsed"),
        needs=half_way,
        holds=lambda records, it: (
            len(records.state(TwoFactor, _factor(it.need)).backup_hashes) == 9
        ),
        weight=1,
    ),
)
TIMED = (  # a code of an authenticator is good for a minute or more, not for a whole outage
    Operation(
        "log in with a second factor",
        lambda it, mark: _login(it, otp=it.code),
        ("SessionStarted", "LoggedIn", "TwoFactorCodeAccepted"),
        needs=holder,
        holds=lambda records, it: records.state(TwoFactor, _factor(it.need)).convinced,
        weight=1,
        form=True,
    ),
    Operation(
        "finish by a code",
        lambda it, mark: (
            "POST",
            "/api/auth/2fa/verify",
            {"code": it.code, "mfa_token": it.mfa_token},
        ),
        ("SecondFactorPassed", "LoggedIn", "TwoFactorCodeAccepted"),
        needs=half_way,
        weight=1,
    ),
)


def _factor(it: Holder) -> UUID:
    return two_factor_of(it.tenant, it.user)
