"""Operations on people and programs: inviting, joining, roles, leaving, API keys."""

from typing import Any
from uuid import UUID

from offices import PASSWORD, Office
from operation import Operation

from zeroinvoice.domain import inviting
from zeroinvoice.domain.access import Caller
from zeroinvoice.domain.api_key import ApiKey, key_token
from zeroinvoice.domain.inviting import Acceptance
from zeroinvoice.domain.membership import invitation_token
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.desk import Desk

MEMBERS = "/api/workspace/members"
KEPT = 120  # people; a workspace has room for some more, and a round does not fill it


def room(desk: Desk, office: Office) -> None:
    """Let those go who came long before this round."""
    membership = desk.open(Workspace, office.tenant).membership
    people = [*membership.members.items(), *membership.invitations.items()]
    others = sorted((it.since, id) for id, it in people if id != office.user)
    for _, id in others[: max(0, len(others) - KEPT)]:
        inviting.remove(desk, office.user, id)


def invited(desk: Desk, office: Office) -> tuple[UUID, int]:
    """Somebody who is invited, and by which letter."""
    room(desk, office)
    email = f"{desk.new_id().hex}@example.com"
    workspace, id = inviting.invite(desk, office.user, email, "member")
    return id, workspace.membership.invitations[id].version


def letter(desk: Desk, office: Office) -> str:
    """What the letter to somebody who is invited carries."""
    return invitation_token(office.keyring, office.tenant, *invited(desk, office))


def joined(desk: Desk, office: Office) -> UUID:
    id, version = invited(desk, office)
    asked = Acceptance(office.tenant, id, version, "Guest", "$hash")
    inviting.accept(desk, asked, Caller("faults", "faults"))
    return id


def key(desk: Desk, office: Office) -> UUID:
    made = desk.new(ApiKey)
    token = key_token(office.keyring, office.tenant, made.id)
    return desk.record(made, made.issue("Key", ("clients:read",), None, token, desk.now)).id


def _role(records: Any, it: Any) -> bool:
    """Whether whom an operation was about is an auditor in some workspace."""
    found = (one.membership.members.get(it.need) for one in records.all(Workspace))
    return any(member is not None and member.role == "auditor" for member in found)


PEOPLE = (
    Operation(
        "invite",
        lambda _, mark: ("POST", MEMBERS, {"email": f"{mark}@example.com", "role": "member"}),
        ("MemberInvited", "AttemptCounted"),
        needs=room,
        weight=1,
    ),
    Operation(
        "accept an invitation",
        lambda token, mark: (
            "POST",
            "/api/auth/accept-invitation",
            {"token": token, "full_name": mark, "password": PASSWORD},
        ),
        ("AddressClaimed", "UserRegistered", "MemberJoined"),
        needs=letter,
        weight=1,
    ),
    Operation(
        "change a role",
        lambda member, mark: ("PATCH", f"{MEMBERS}/{member}", {"role": "auditor"}),
        ("RoleAssigned",),
        needs=joined,
        holds=_role,
        weight=1,
    ),
    Operation(
        "remove a member",
        lambda member, mark: ("DELETE", f"{MEMBERS}/{member}", None),
        ("MemberRemoved", "AccountClosed", "AddressReleased"),
        needs=joined,
        weight=1,
    ),
    Operation(
        "issue a key",
        lambda _, mark: (
            "POST",
            "/api/workspace/api-keys",
            {"name": mark, "permissions": ["clients:read"]},
        ),
        ("ApiKeyIssued",),
        weight=1,
    ),
    Operation(
        "revoke a key",
        lambda id, mark: ("DELETE", f"/api/workspace/api-keys/{id}", None),
        ("ApiKeyRevoked",),
        needs=key,
        holds=lambda records, it: records.state(ApiKey, it.need).revoked_at is not None,
        weight=1,
    ),
    Operation(
        "change one's own role",
        lambda owner, mark: ("PATCH", f"{MEMBERS}/{owner}", {"role": "member"}),
        (),
        needs=lambda desk, office: office.user,
        weight=1,
    ),
)
