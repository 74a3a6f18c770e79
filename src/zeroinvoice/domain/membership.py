"""Membership: who belongs to a workspace, in which role, and who is invited to."""

from datetime import UTC, datetime, timedelta
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.mailbox import normalised
from zeroinvoice.domain.roles import Role
from zeroinvoice.kernel.facts import Event, Events
from zeroinvoice.kernel.refusals import Forbidden, Invalid, Missing, Refused
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.kernel.value import Value

MOST_MEMBERS = 200  # of one workspace, invitations that nobody took back included
INVITATION_LASTS = timedelta(hours=72)

BEFORE = datetime.min.replace(tzinfo=UTC)

# Events of a workspace


class MemberInvited(Event):
    """A letter goes to the address; it voids the one before.

    The token in it is derived from this fact's place in the journal; it is never stored.
    """

    member_id: UUID  # who they are from when they accept
    email: str
    role: Role


class InvitationRevoked(Event):
    member_id: UUID


class MemberJoined(Event):
    """They accepted by the link, which proves that the address is theirs."""

    member_id: UUID
    role: Role


class RoleAssigned(Event):
    member_id: UUID
    role: Role


class MemberRemoved(Event):
    member_id: UUID


MembershipEvent = MemberInvited | InvitationRevoked | MemberJoined | RoleAssigned | MemberRemoved

# What they add up to


class Member(Value):
    role: Role
    since: datetime


class Invitation(Value):
    """Asks somebody in, by the letter of that version of the workspace and no other."""

    email: str
    role: Role
    version: int
    since: datetime

    @property
    def until(self) -> datetime:
        return self.since + INVITATION_LASTS


class Membership(Value):
    members: dict[UUID, Member] = {}
    invitations: dict[UUID, Invitation] = {}

    def evolve(self, event: MembershipEvent, version: int, at: datetime | None) -> Self:
        id, at = event.member_id, at or BEFORE
        match event:
            case MemberInvited(email=email, role=role):
                return self._inviting(id, Invitation(email, role, version, at))
            case MemberJoined(role=role):
                return self._without(id).joined(id, role, at)
            case RoleAssigned(role=role):
                if id in self.invitations:
                    return self._inviting(id, self.invitations[id].but(role=role))
                return self.joined(id, role, self.members[id].since)
            case InvitationRevoked() | MemberRemoved():
                return self._without(id)
            case _:
                assert_never(event)

    def joined(self, id: UUID, role: Role, since: datetime | None) -> Self:
        return self.but(members={**self.members, id: Member(role, since or BEFORE)})

    def invited(self, email: str) -> UUID | None:
        """Under which id an address is invited already."""
        same = normalised(email)
        found = (id for id, it in self.invitations.items() if normalised(it.email) == same)
        return next(found, None)

    def invitation(self, id: UUID, version: int, now: datetime) -> Invitation:
        """What the letter of that version invites to. Raises `Invalid` unless it stands."""
        it = self.invitations.get(id)
        if it is None or it.version != version or now > it.until:
            raise bad_invitation()
        return it

    # Decisions

    def invite(self, by: UUID, id: UUID, email: str, role: Role) -> Events:
        known = self.invitations.get(id)
        self._assert_may_assign(by, role, *([known.role] if known else []))
        if known is None and len(self.members) + len(self.invitations) >= MOST_MEMBERS:
            raise Invalid(
                f"A workspace has at most {MOST_MEMBERS} members and invitations; "
                "take one back first.",
                code="too_many_members",
            )
        yield MemberInvited(id, email, role)

    def join(self, id: UUID, version: int, now: datetime) -> Events:
        yield MemberJoined(id, self.invitation(id, version, now).role)

    def assign(self, by: UUID, id: UUID, role: Role) -> Events:
        """Give a member, or somebody who is invited, another role."""
        before = self._known(id).role
        if by == id:
            raise Forbidden("Nobody changes their own role.", code="own_role")
        self._assert_may_assign(by, role, before)
        if role != before:
            self._assert_owner_stays(id)
            yield RoleAssigned(id, role)

    def remove(self, by: UUID, id: UUID) -> Events:
        """Let a member go, or take an invitation back."""
        self._assert_may_assign(by, self._known(id).role)
        if id in self.invitations:
            yield InvitationRevoked(id)
            return
        self._assert_owner_stays(id)
        yield MemberRemoved(id)

    def _known(self, id: UUID) -> Member | Invitation:
        known = self.members.get(id) or self.invitations.get(id)
        if known is None:
            raise Missing("There is no such member.")
        return known

    def _assert_may_assign(self, by: UUID, *roles: Role) -> None:
        """Owners are made and unmade by owners. Raises `Forbidden` `owners_only`."""
        giver = self.members.get(by)
        if "owner" in roles and (giver is None or giver.role != "owner"):
            raise Forbidden("Only an owner makes and unmakes owners.", code="owners_only")

    def _assert_owner_stays(self, leaving: UUID) -> None:
        owners = [id for id, it in self.members.items() if it.role == "owner"]
        if owners == [leaving]:
            raise Refused("A workspace keeps at least one owner.", code="last_owner")

    def _inviting(self, id: UUID, it: Invitation) -> Self:
        return self.but(invitations={**self.invitations, id: it})

    def _without(self, id: UUID) -> Self:
        return self.but(
            members={key: it for key, it in self.members.items() if key != id},
            invitations={key: it for key, it in self.invitations.items() if key != id},
        )


def invitation_token(keyring: Keyring, tenant: UUID, member_id: UUID, version: int) -> str:
    """What the letter carries: 256 bits that only we could have made."""
    text = f"{tenant.hex}.{member_id.hex}.{version}"
    return f"{text}.{keyring.seal('invitation', text)}"


def read_invitation_token(keyring: Keyring, token: str) -> tuple[UUID, UUID, int]:
    """The tenant, the member and the version. Raises `Invalid` when we did not make it."""
    text, _, seal = token.rpartition(".")
    if not keyring.holds("invitation", text, seal):
        raise bad_invitation()
    tenant, member_id, version = text.split(".")
    return UUID(tenant), UUID(member_id), int(version)


def bad_invitation() -> Invalid:
    return Invalid(
        "This invitation is not valid any more; ask for a new one.", code="invitation_invalid"
    )
