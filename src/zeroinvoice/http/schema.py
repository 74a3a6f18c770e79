"""How the API is described (OpenAPI 3.1): our own types, who may call what, and examples."""

from typing import Any

from litestar import Request
from litestar._openapi.schema_generation import SchemaCreator
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPIType, Schema, SecurityScheme
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from zeroinvoice.kernel.money import Exact

DESCRIPTION = """\
Invoices, clients and payments on an append-only journal of business facts.

**Money** is a decimal string with the currency's digits, such as `"1500.00"`; a JSON number is \
taken too. Two currencies are never added up.
**Writing**: any write takes an `Idempotency-Key`, so that it can be sent again, an `If-Match` \
with the ETag that was seen, and an `X-Reason` for the audit log. Its answer says `X-Position`.
**Reading**: lists come in parts (`limit`, `cursor`); `X-Min-Position` waits for a write, and \
`as_of` shows one thing, or a report, as it was known at an instant; lists are of now and refuse \
it. Receivables and analytics tell that instant from the business day they are for, `date`. \
With `explain=1` their numbers, and balances, say by which facts they came about.
**Errors** are problem documents (RFC 9457) with a stable `code`.
"""

_CLIENT = "01890a5d-ac96-774b-bcce-b302099a8057"
EXAMPLES: dict[str, dict[str, Any]] = {  # a body each, by operation
    "auth.register": {
        "email": "user@example.com",
        "password": "a long passphrase",
        "full_name": "Demo Owner",
    },
    "clients.add": {
        "name": "Acme Corp",
        "email": "billing@acme.example",
        "phone": "+1-555-0100",
        "address": "123 Main St, San Francisco, CA 94102",
        "currency": "USD",
    },
    "members.invite": {"email": "colleague@example.com", "role": "accountant"},
    "api_keys.issue": {
        "name": "Web shop",
        "permissions": ["clients:read", "invoices:read", "invoices:write"],
    },
    "contacts.add": {
        "first_name": "Jane",
        "last_name": "Doe",
        "email": "jane@acme.example",
        "role": "Accounts payable",
        "receives": {"statements": False},
    },
    "bank_accounts.add": {
        "type": "iban",
        "iban": "DE89 3704 0044 0532 0130 00",
        "account_holder": "Acme Corp",
        "purpose": "refunds",
    },
    "invoices.draft": {
        "client_id": _CLIENT,
        "line_items": [{"description": "API integration", "quantity": 10, "unit_price": "150.00"}],
        "due_date": "2026-06-01",
        "currency": "USD",
        "notes": "Net 30",
    },
    "invoices.move": {"status": "sent"},
    "simulations.simulate": {
        "changes": [
            {"type": "tax_rate", "code": "VAT", "rate": "21", "from": "2026-01-01"},
            {"type": "terms", "net_days": 14},
        ],
    },
    "payments.record": {
        "invoice_id": "01890a5d-ac96-774b-bcce-b302099a8058",
        "amount": "1500.00",
        "currency": "USD",
        "method": "bank_transfer",
        "received_on": "2026-06-01",
        "reference": "Transfer 4711",
    },
}


class Exemplified(JsonRenderPlugin):
    """The description as JSON, with an example beside the bodies people write first."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        for operations in openapi_schema["paths"].values():
            for operation in operations.values():
                example = EXAMPLES.get(operation.get("operationId"))
                if example is not None:
                    operation["requestBody"]["content"]["application/json"]["example"] = example
        return super().render(request, openapi_schema)


def described() -> OpenAPIConfig:
    """What the description says of the API as a whole."""
    bearer = SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="The `access_token` that a login answers with.",
    )
    key = SecurityScheme(
        type="apiKey",
        name="X-API-Key",
        security_scheme_in="header",
        description="An API key of the workspace; `Authorization: Bearer` takes it, too.",
    )
    return OpenAPIConfig(
        title="ZeroInvoice API",
        version="0.1.0",
        description=DESCRIPTION,
        path="/schema",
        components=Components(security_schemes={"bearer": bearer, "api_key": key}),
        render_plugins=[Exemplified()],
    )


class ExactSchema(OpenAPISchemaPlugin):
    """Exact decimals: a string or a number going in, always a string coming out."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return value is Exact

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Schema:
        return Schema(
            type=[OpenAPIType.STRING, OpenAPIType.NUMBER],
            pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$",
            description="A decimal number as text, such as 19.99; a JSON number is taken too.",
        )
