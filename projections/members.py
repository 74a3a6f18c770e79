"""Members: who belongs to the workspace and who is invited, read from their streams."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.two_factor import TwoFactor, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page

Status = Literal["active", "invited", "expired"]  # expired: the letter's link is void by now

# Views


class MemberView(Value, kw_only=True):
    """Somebody who belongs to the workspace, or is asked to."""

    id: UUID
    full_name: str | None  # null until they accept
    email: str | None
    role: Role
    status: Status
    two_factor: bool  # whether a second factor is asked of them
    since: datetime  # joined, or invited last
    expires_at: datetime | None  # of the invitation

    @classmethod
    def of(
        cls, workspace: Workspace, id: UUID, now: datetime, user: User, factor: TwoFactor
    ) -> "MemberView":
        """A member's view takes their user and second factor; that of an invitation blank ones."""
        asked = workspace.membership.invitations.get(id)
        known = asked or workspace.membership.members[id]
        status: Status = "active"
        if asked:
            status = "invited" if now <= asked.until else "expired"
        return cls(
            id=id,
            full_name=user.full_name or None,
            email=asked.email if asked else user.email or None,
            role=known.role,
            status=status,
            two_factor=factor.on,
            since=known.since,
            expires_at=asked.until if asked else None,
        )


# Routes


@get("/workspace/members", may="members:read")
def browse(reader: Reading) -> Page[MemberView]:
    """List who belongs to the workspace, then who is invited, the longest there first."""
    workspace, now = reader.state(Workspace, reader.tenant), reader.as_of or reader.now
    reader.follows_more()  # names are the users' own
    ids = [*workspace.membership.members, *workspace.membership.invitations]
    factors = {id: two_factor_of(reader.tenant, id) for id in ids}
    reader.recall([*((User, id) for id in ids), *((TwoFactor, id) for id in factors.values())])
    views = [
        MemberView.of(workspace, id, now, reader.then(User, id), reader.then(TwoFactor, factor))
        for id, factor in factors.items()
    ]
    return Page(sorted(views, key=lambda it: (it.status != "active", it.since, it.id)))


routes = [browse]
