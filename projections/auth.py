"""Who is logged in: the user, their workspace and what they may do, read from their streams."""

from datetime import datetime
from typing import Self
from uuid import UUID

from msgspec import UNSET, UnsetType

from zeroinvoice.domain.roles import ALL, ROLES, Role
from zeroinvoice.domain.session import IDLE, Session
from zeroinvoice.domain.two_factor import TwoFactor, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.value import Value

# Views


class WorkspaceSummary(Value):
    id: UUID
    name: str
    base_currency: str  # ISO 4217
    time_zone: str  # IANA
    fiscal_year_start: int  # month, 1 to 12


class TwoFactorSummary(Value):
    enabled: bool = False
    backup_codes_left: int | UnsetType = UNSET  # while it is on

    @classmethod
    def of(cls, factor: TwoFactor) -> Self:
        return cls(True, len(factor.backup_hashes)) if factor.on else cls()


class Me(Value, kw_only=True):
    """A user as they see themselves."""

    id: UUID
    email: str
    full_name: str
    locale: str  # BCP 47
    time_zone: str  # IANA, the workspace's
    workspace: WorkspaceSummary
    role: Role | None  # null before they joined, as `as_of` may have it
    permissions: list[str]  # "*" is all there are
    two_factor: TwoFactorSummary = TwoFactorSummary()
    sessions: int  # open now
    created_at: datetime | None
    version: int

    @classmethod
    def of(
        cls,
        user: User,
        workspace: Workspace,
        *,
        sessions: int,
        factor: TwoFactor = TwoFactor(),
    ) -> Self:
        settings, role = workspace.settings, workspace.role_of(user.id)
        granted = ROLES[role] if role else frozenset()
        return cls(
            id=user.id,
            email=user.email,
            full_name=user.full_name,
            locale=user.locale,
            time_zone=settings.time_zone,
            workspace=WorkspaceSummary(
                workspace.id,
                settings.name,
                settings.base_currency,
                settings.time_zone,
                settings.fiscal_year_start,
            ),
            role=role,
            permissions=["*"] if granted == ALL else sorted(granted),
            two_factor=TwoFactorSummary.of(factor),
            sessions=sessions,
            created_at=user.created_at,
            version=user.version,
        )


# Routes


@get("/auth/me", may="account")
def me(reader: Reading) -> Me:
    """Show who is logged in."""
    user = reader.state(User, reader.user)
    factor = reader.then(TwoFactor, two_factor_of(reader.tenant, user.id))
    reader.follows_more()
    sessions = _in_use(reader, user)
    return Me.of(user, reader.workspace, sessions=sessions, factor=factor)


def _in_use(reader: Reading, user: User) -> int:
    """Sessions that could still be renewed: a user knows only when they began."""
    now = reader.as_of or reader.now
    open = user.open_sessions(now)
    reader.recall([(Session, it.id) for it in open])
    given = [reader.then(Session, it.id).renewed_at for it in open]
    return sum(at is not None and now - at < IDLE for at in given)


routes = [me]
