"""Members: invite, give another role, remove."""

from typing import Annotated
from uuid import UUID

from litestar.params import FromPath, JSONBody
from msgspec import Meta

from projections.members import MemberView
from zeroinvoice.domain import inviting
from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.two_factor import TwoFactor, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.routes import delete, patch, post
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.value import Value


class InviteMember(Value, kw_only=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(min_length=1, max_length=254)]
    role: Role


class AssignRole(Value, kw_only=True, forbid_unknown_fields=True):
    role: Role


@post("/workspace/members", may="members:write")
async def invite(data: JSONBody[InviteMember], writer: Writing) -> MemberView:
    """Invite somebody by a letter; to do it again sends another, which voids the one before."""

    def decision(desk: Desk) -> tuple[Workspace, MemberView]:
        workspace, id = inviting.invite(desk, writer.principal.user, data.email, data.role)
        return workspace, MemberView.of(workspace, id, desk.now, User(), TwoFactor())

    _, view = await writer.commit(decision, wants=[(Workspace, writer.tenant)])
    return view


@patch("/workspace/members/{member_id:uuid}", may="members:write")
async def assign(
    member_id: FromPath[UUID], data: JSONBody[AssignRole], writer: Writing
) -> MemberView:
    """Give a member, or somebody who is invited, another role."""

    def decision(desk: Desk) -> tuple[Workspace, MemberView]:
        workspace, user = inviting.assign(desk, writer.principal.user, member_id, data.role)
        factor = desk.find(TwoFactor, two_factor_of(desk.tenant, member_id))
        return workspace, MemberView.of(workspace, member_id, desk.now, user, factor)

    _, view = await writer.commit(decision, wants=[(Workspace, writer.tenant)])
    return view


@delete("/workspace/members/{member_id:uuid}", may="members:write")
async def remove(member_id: FromPath[UUID], writer: Writing) -> None:
    """Remove a member, which ends their sessions at once, or take an invitation back."""
    await writer.commit(
        lambda desk: inviting.remove(desk, writer.principal.user, member_id),
        wants=[(Workspace, writer.tenant), (User, member_id)],
    )


routes = [invite, assign, remove]
