"""Roles: what each may do in a workspace; every route names the permission it asks for."""

from typing import Literal, get_args

Role = Literal["owner", "admin", "accountant", "member", "auditor"]
Permission = Literal[
    "account",  # one's own account: password, second factor, sessions; for people alone
    "logout",  # ending one's session, also before the second factor came
    "workspace:read",
    "workspace:write",
    "taxes:write",
    "members:read",
    "members:write",
    "keys:read",
    "keys:write",
    "clients:read",
    "clients:write",
    "clients:delete",
    "clients:merge",
    "clients:erase",
    "bank_accounts:read",
    "bank_accounts:write",
    "invoices:read",
    "invoices:write",
    "invoices:cancel",
    "payments:read",
    "payments:write",
    "payments:delete",
    "credits:read",
    "credits:write",
    "audit:read",
    "activity:read",
]

ALL: frozenset[Permission] = frozenset(get_args(Permission))
READING: frozenset[Permission] = frozenset(it for it in ALL if it.endswith(":read"))
FOR_KEYS: frozenset[Permission] = ALL - {  # what an API key may be given
    "account",
    "logout",
    "members:write",
    "keys:read",
    "keys:write",
    "bank_accounts:write",
    "clients:erase",
}
_MEMBER: frozenset[Permission] = frozenset(
    {
        "account",
        "logout",
        "workspace:read",
        "members:read",
        "clients:read",
        "clients:write",
        "invoices:read",
        "invoices:write",
        "payments:read",
        "credits:read",
        "activity:read",
    }
)
_ACCOUNTANT: frozenset[Permission] = _MEMBER | {
    "taxes:write",
    "bank_accounts:read",
    "payments:write",
    "credits:write",
    "audit:read",
}
_ADMIN: frozenset[Permission] = _ACCOUNTANT | {
    "workspace:write",
    "members:write",
    "clients:delete",
    "clients:merge",
    "clients:erase",
    "invoices:cancel",
    "payments:delete",
}
ROLES: dict[Role, frozenset[Permission]] = {
    "owner": ALL,
    "admin": _ADMIN,
    "accountant": _ACCOUNTANT,
    "member": _MEMBER,
    "auditor": READING
    | {"account", "logout"},  # sees everything, changes nothing but their own account
}
