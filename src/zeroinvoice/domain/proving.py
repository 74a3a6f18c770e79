"""Proving: people say again who they are, to change their second factor or to be trusted anew."""

from uuid import UUID

from zeroinvoice.domain.access import Caller, Unproved, end_sessions, prove_password
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.two_factor import Proof, TwoFactor, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.refusals import Unauthenticated
from zeroinvoice.kernel.value import Value


class Claim(Value):
    """Who somebody says they are, in a session of theirs, and what they prove it with."""

    user: UUID
    session: UUID
    caller: Caller
    proof: Proof
    matched: str | None = None  # the hash that the password was found to match


def prepare(desk: Desk, claim: Claim) -> tuple[str, UUID] | Unproved:
    """Have a new secret shown; needs the password. Answers the user's address and its id."""
    user, right = _trusted(desk, claim)
    if not right:
        return Unproved("password")
    factor = _factor(desk, claim)
    secret_id = desk.new_id()
    desk.record(factor, factor.prepare(user.id, secret_id))
    return user.email, secret_id


def enable(desk: Desk, claim: Claim) -> UUID | Unproved:
    """Switch the prepared secret on by its first code; answers the id of the backup codes.

    Every other session ends.
    """
    factor, codes_id = _factor(desk, claim), desk.new_id()
    factor = desk.record(factor, factor.enable(claim.proof, codes_id, desk.now))
    if not factor.convinced:
        return Unproved("code")
    _end_others(desk, claim)
    return codes_id


def disable(desk: Desk, claim: Claim) -> Unproved | None:
    """Switch the second factor off; needs the password and a code. Every other session ends."""
    factor = _proved(desk, claim)
    if isinstance(factor, Unproved):
        return factor
    _end_others(desk, claim)
    desk.record(factor, factor.disable())
    return None


def regenerate(desk: Desk, claim: Claim) -> UUID | Unproved:
    """Make new backup codes; needs the password and a code of the authenticator."""
    factor = _proved(desk, claim)
    if isinstance(factor, Unproved):
        return factor
    codes_id = desk.new_id()
    desk.record(factor, factor.regenerate(claim.proof.keys, codes_id))
    return codes_id


def confirm(desk: Desk, claim: Claim) -> Unproved | None:
    """Have a session count as fresh; needs the password, and a code where a second factor is on."""
    _, right = _trusted(desk, claim)
    if not right:
        return Unproved("password")
    factor = _factor(desk, claim)
    if factor.on:
        if claim.proof.code is None:
            raise Unauthenticated(
                "Send a code of your second factor, too.", code="second_factor_required"
            )
        if not desk.record(factor, factor.prove(claim.proof, desk.now)).convinced:
            return Unproved("code")
    session = desk.open(Session, claim.session)
    desk.record(session, session.confirm())
    return None


def _proved(desk: Desk, claim: Claim) -> TwoFactor | Unproved:
    """The second factor of somebody who gave both, the password and a code."""
    _, right = _trusted(desk, claim)
    if not right:
        return Unproved("password")
    factor = _factor(desk, claim)
    factor = desk.record(factor, factor.prove(claim.proof, desk.now))
    return factor if factor.convinced else Unproved("code")


def _trusted(desk: Desk, claim: Claim) -> tuple[User, bool]:
    user = desk.open(User, claim.user)
    return prove_password(desk, user, claim.matched, claim.caller)


def _factor(desk: Desk, claim: Claim) -> TwoFactor:
    return desk.find(TwoFactor, two_factor_of(desk.tenant, claim.user))


def _end_others(desk: Desk, claim: Claim) -> None:
    user = desk.open(User, claim.user)
    end_sessions(desk, user, desk.tenant, "second_factor", but=claim.session)
    desk.record(user, user.log_out_others(claim.session))
