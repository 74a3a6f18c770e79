"""Examples: for every operation a request that whoever may make it can make."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from belongings import Belongings
from principals import PASSWORD, Principals

from zeroinvoice.domain.roles import Permission


@dataclass(frozen=True)
class Example:
    """A request: what fills the places in its path, and what it sends."""

    path: dict[str, str] = field(default_factory=dict)
    json: Any = None
    data: dict[str, str] | None = None
    query: dict[str, str] = field(default_factory=dict)


class Asked:
    """What an example is made from: what is there, and who is."""

    def __init__(self, principals: Principals, login: str) -> None:
        self.own = Belongings(principals.owner.http, str(principals.people["auditor"].id))
        self.principals = principals
        self.login = login  # an address with an account

    def path(self, *names: str, **fresh: str) -> dict[str, str]:
        return {**{name: getattr(self.own, name) for name in names}, **fresh}


Made = Callable[[Asked], Example]


def _body(**fields: Any) -> Made:
    return lambda it: Example(json=fields)


def _at(*names: str, **body: Any) -> Made:
    return lambda it: Example(it.path(*names), body or None)


def _email() -> str:
    return f"{uuid4().hex}@example.com"


def _person() -> dict[str, str]:
    return {"password": PASSWORD, "full_name": "Jane Dev"}


def _unapplied(it: Asked) -> Example:
    credit_id, application_id = it.own.new_application()
    return Example(it.path("client_id", credit_id=credit_id), {"application_id": application_id})


AUTH: dict[str, Made] = {
    "auth.register": lambda it: Example(json={"email": _email(), **_person()}),
    "auth.login": lambda it: Example(data={"username": it.login, "password": PASSWORD}),
    "auth.logout": lambda it: Example(),
    "auth.refresh": lambda it: Example(json={"refresh_token": it.principals.owner.renewable()}),
    "auth.request_password_reset": lambda it: Example(json={"email": _email()}),
    "auth.forgot_password": lambda it: Example(json={"email": _email()}),
    "auth.reset_password": _body(token="a.b", new_password=PASSWORD),  # nobody's: 422
    "auth.accept_invitation": lambda it: Example(json={"token": "a.b", **_person()}),
    "auth.sso_authorize": _at(),
    "auth.sso_callback": _at(),
    "auth.me": _at(),
    "two_factor.setup": _body(password=PASSWORD),
    "two_factor.verify": _body(code="000000", mfa_token="x"),
    "two_factor.verify_backup": _body(code="x", mfa_token="x"),
    "two_factor.disable": _body(password=PASSWORD, code="000000"),
    "two_factor.backup_codes": _body(password=PASSWORD, code="000000"),
    "two_factor.confirm": _body(password=PASSWORD),
    "health.health": _at(),
    "health.ready": _at(),
}
CLIENTS: dict[str, Made] = {
    "clients.add": _body(name="Acme"),
    "clients.browse": _at(),
    "clients.search": lambda it: Example(query={"q": "Acme"}),
    "clients.show": _at("client_id"),
    "clients.revise": _at("client_id", notes="Seen"),
    "clients.remove": lambda it: Example({"client_id": it.own.new_client()}),
    "clients.settle_payment": _at("client_id", autopay=True),
    "clients.payment_settings": _at("client_id"),
    "client_figures.analytics": _at("client_id"),
    "receivables.show": _at("client_id"),
    "merges.merge": lambda it: Example(
        json={"primary_id": it.own.new_client(), "duplicate_ids": [it.own.new_client()]}
    ),
    "merges.undo": lambda it: Example(json={"merge_id": it.own.new_merge()}),
    "merges.history": _at("client_id"),
    "erasure.erase": lambda it: Example({"client_id": it.own.new_client()}, {}),
    "contacts.add": _at("client_id", first_name="Jane"),
    "contacts.browse": _at("client_id"),
    "contacts.show": _at("client_id", "contact_id"),
    "contacts.revise": _at("client_id", "contact_id", notes="Seen"),
    "contacts.remove": lambda it: Example(it.path("client_id", contact_id=it.own.new_contact())),
    "contacts.choose": _at("client_id", "contact_id"),
    "bank_accounts.add": lambda it: Example(it.path("client_id"), it.own.account()),
    "bank_accounts.browse": _at("client_id"),
    "bank_accounts.revise": _at("client_id", "account_id", bank_name="Bank"),
    "bank_accounts.remove": lambda it: Example(
        it.path("client_id", account_id=it.own.new_account())
    ),
}
MONEY: dict[str, Made] = {
    "invoices.draft": lambda it: Example(
        json={"client_id": it.own.client_id, "line_items": [it.own.line()]}
    ),
    "invoices.browse": _at(),
    "invoices.overdue": _at(),
    "invoices.of_client": _at("client_id"),
    "invoices.show": _at("invoice_id"),
    "invoices.revise": lambda it: Example({"invoice_id": it.own.draft_id}, {"notes": "Seen"}),
    "invoices.move": lambda it: Example({"invoice_id": it.own.new_draft()}, {"status": "sent"}),
    "invoices.move cancelled": lambda it: Example(
        {"invoice_id": it.own.new_invoice()}, {"status": "cancelled", "reason": "wrong"}
    ),
    "invoices.move paid": lambda it: Example(
        {"invoice_id": it.own.new_invoice()}, {"status": "paid"}
    ),
    "invoices.discard": lambda it: Example({"invoice_id": it.own.new_draft()}),
    "invoice_search.search": lambda it: Example(query={"q": "Acme"}),
    "payments.record": lambda it: Example(
        json={
            "amount": "0.01",
            "method": "cash",
            "invoice_id": it.own.invoice_id,
            "confirm_duplicate": True,
        }
    ),
    "payments.browse": _at(),
    "payments.search": lambda it: Example(query={"q": "Acme"}),
    "payments.show": _at("payment_id"),
    "payments.of_invoice": _at("invoice_id"),
    "payments.of_client": _at("client_id"),
    "payments.total": _at("invoice_id"),
    "payment_summary.summarise": _at(),
    "payments.revise": _at("payment_id", note="Seen"),
    "payments.void": lambda it: Example({"payment_id": it.own.new_payment()}),
    "payments.refund": _at("payment_id", amount="0.01", method="cash"),
    "credits.issue": _at("client_id", type="goodwill", amount="1.00"),
    "credits.browse": _at("client_id"),
    "credits.balance": _at("client_id"),
    "credits.show": _at("client_id", "credit_id"),
    "credits.apply": lambda it: Example(
        it.path("client_id", "credit_id"), {"invoice_id": it.own.invoice_id, "amount": "0.01"}
    ),
    "credits.unapply": _unapplied,
    "credits.refund": _at("client_id", "credit_id", amount="0.01", method="cash"),
    "credits.void": lambda it: Example(it.path("client_id", credit_id=it.own.new_credit()), {}),
}
HOUSE: dict[str, Made] = {
    "workspace.show": _at(),
    "workspace.revise": _body(language="en"),
    "workspace.browse_tax_codes": _at(),
    "workspace.show_tax_code": _at("code"),
    "workspace.define_tax": lambda it: Example(
        json={"code": f"N{it.own.number()}", "name": "Tax", "rate": "7"}
    ),
    "workspace.replace_tax": _at("code", name="Tax", rate="19"),
    "workspace.retire_tax": lambda it: Example({"code": it.own.new_code()}),
    "members.browse": _at(),
    "members.invite": lambda it: Example(json={"email": _email(), "role": "member"}),
    "members.assign": lambda it: Example(
        {"member_id": it.own.new_invitation()}, {"role": "auditor"}
    ),
    "members.remove": lambda it: Example({"member_id": it.own.new_invitation()}),
    "api_keys.browse": _at(),
    "api_keys.issue": _body(name="Key", permissions=["clients:read"]),
    "api_keys.revoke": lambda it: Example({"key_id": it.own.new_key()}),
    "activity.browse": _at(),
    "activity.ws_stats": _at(),
    "activity.track_invoice": lambda it: Example(json={"id": it.own.invoice_id}),
    "activity.track_payment": lambda it: Example(json={"id": it.own.payment_id}),
    "activity.mark": _body(position=2**61),  # which is nobody's: 422
    "audit.browse": _at(),
    "proofs.head": _at(),
    "proofs.inclusion": lambda it: Example(query={"seq": str(it.own.seq)}),
    "simulations.simulate": lambda it: Example(
        json={"changes": [{"type": "terms", "net_days": 14, "client_id": it.own.client_id}]}
    ),
    "proofs.growth": lambda it: Example(query={"since": "1"}),
    "audit_log.browse": _at(),
    "audit_log.search": lambda it: Example(query={"q": "Invoice"}),
    "audit_log.user_activity": lambda it: Example({"user_id": str(it.principals.owner.id)}),
    "audit_log.my_activity": _at(),
    "audit_statistics.statistics": _at(),
    "compliance.report": _at(),
    "audit.history": lambda it: Example(
        {"resource_type": "client", "resource_id": it.own.client_id}
    ),
}
EXAMPLES: dict[str, Made] = {**AUTH, **CLIENTS, **MONEY, **HOUSE}
"""By operation, with a word after it where the body decides who may."""

BESIDES: dict[str, tuple[Permission, ...]] = {
    "invoices.move cancelled": ("invoices:cancel",),
    "invoices.move paid": ("payments:write",),
    "simulations.simulate": ("invoices:read",),
}
