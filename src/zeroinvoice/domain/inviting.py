"""Inviting: asking somebody into a workspace, coming in, and having to leave it."""

from uuid import UUID

from zeroinvoice.domain.access import Caller, end_sessions
from zeroinvoice.domain.mailbox import Mailbox, address_taken, mailbox_id
from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.throttle import PER_ACCOUNT, Throttle, throttle_id
from zeroinvoice.domain.user import User, check_email
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import HOUSE
from zeroinvoice.kernel.refusals import Refused
from zeroinvoice.kernel.value import Value


class Acceptance(Value):
    """Who accepts an invitation, and by which letter of which workspace."""

    tenant: UUID
    member_id: UUID
    version: int
    full_name: str
    password_hash: str


def invite(desk: Desk, by: UUID, email: str, role: Role) -> tuple[Workspace, UUID]:
    """Ask an address in; whoever was asked before gets a new letter, which voids the old one.

    Whether it has an account elsewhere is told only to who proves that it is theirs.
    """
    workspace = desk.open(Workspace, desk.tenant)
    email = email.strip()
    check_email(email)
    box = desk.find(Mailbox, mailbox_id(email), tenant=HOUSE)
    if box.claimed and box.tenant == desk.tenant:
        raise Refused("They are a member of this workspace already.", code="already_member")
    id = workspace.membership.invited(email) or desk.new_id()
    workspace = desk.record(workspace, workspace.membership.invite(by, id, email, role))
    # Whoever it is that asks: nobody's letters are to fill a stranger's mailbox.
    letters = desk.find(Throttle, throttle_id("invitation", "", box.id.hex), tenant=HOUSE)
    letters.admit(PER_ACCOUNT, desk.now)
    desk.record(letters, letters.count("invitation"), tenant=HOUSE)
    return workspace, id


def accept(desk: Desk, asked: Acceptance, caller: Caller) -> tuple[User, Workspace]:
    """Make the user, claim their address and let them in. One account is of one workspace."""
    tenant, id = asked.tenant, asked.member_id
    workspace = desk.open(Workspace, tenant, tenant=tenant)
    invitation = workspace.membership.invitation(id, asked.version, desk.now)
    mailbox = desk.find(Mailbox, mailbox_id(invitation.email), tenant=HOUSE)
    if mailbox.claimed:
        raise address_taken()
    desk.record(mailbox, mailbox.claim(id, tenant), tenant=HOUSE)
    user = desk.new(User, id, tenant=tenant)
    locale = workspace.settings.language
    registered = user.register(
        invitation.email, asked.full_name, asked.password_hash, locale, caller.device
    )
    user = desk.record(user, registered, tenant=tenant)
    joined = workspace.membership.join(id, asked.version, desk.now)
    return user, desk.record(workspace, joined, tenant=tenant)


def assign(desk: Desk, by: UUID, id: UUID, role: Role) -> tuple[Workspace, User]:
    """Give somebody another role; it holds from their next request on."""
    workspace = desk.open(Workspace, desk.tenant)
    workspace = desk.record(workspace, workspace.membership.assign(by, id, role))
    return workspace, desk.find(User, id)


def remove(desk: Desk, by: UUID, id: UUID) -> Workspace:
    """Let a member go, with every session of theirs, or take an invitation back.

    Their address is free again: they may be invited anew, or open a workspace of their own.
    """
    workspace = desk.open(Workspace, desk.tenant)
    workspace = desk.record(workspace, workspace.membership.remove(by, id))
    user = desk.find(User, id)
    if user.version:
        end_sessions(desk, user, desk.tenant, "removed")
        user = desk.record(user, user.close())
        mailbox = desk.find(Mailbox, mailbox_id(user.email), tenant=HOUSE)
        desk.record(mailbox, mailbox.release(), tenant=HOUSE)
    return workspace
