"""Belongings: what a workspace has of each kind, made over HTTP by its owner."""

import itertools
from functools import cached_property
from typing import Any

import httpx

_numbers = itertools.count(1)


class Belongings:
    """Things that stay, looked up by their names, and makers of such as a request uses up."""

    def __init__(self, owner: httpx.Client, member_id: str) -> None:
        self._owner = owner
        self.member_id = member_id

    def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._owner.post(path, json=body)
        assert answer.status_code in (200, 201), (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    # Things that stay

    @cached_property
    def client_id(self) -> str:
        return self.new_client()

    @cached_property
    def draft_id(self) -> str:
        return self.new_draft()

    @cached_property
    def invoice_id(self) -> str:
        return self.new_invoice()

    @cached_property
    def payment_id(self) -> str:
        return self.new_payment()

    @cached_property
    def contact_id(self) -> str:
        return self.new_contact()

    @cached_property
    def account_id(self) -> str:
        return self.new_account()

    @cached_property
    def credit_id(self) -> str:
        return self.new_credit()

    @cached_property
    def code(self) -> str:
        return self.new_code()

    @cached_property
    def key_id(self) -> str:
        return self.new_key()

    @cached_property
    def merge_id(self) -> str:
        return self.new_merge()

    @cached_property
    def application_id(self) -> str:
        return self.new_application()[1]

    @cached_property
    def line_id(self) -> str:
        shown = self._owner.get(f"/api/invoices/{self.invoice_id}").json()
        return str(shown["line_items"][0]["id"])

    @cached_property
    def seq(self) -> int:
        """The position of one of their facts."""
        return int(self._owner.get("/api/audit/logs?limit=1").json()["items"][0]["seq"])

    # Makers

    def number(self) -> int:
        return next(_numbers)

    def line(self, price: str = "1000.00") -> dict[str, Any]:
        return {"description": "Work", "unit_price": price}

    def of_client(self, path: str) -> str:
        return f"/api/customers/{self.client_id}/{path}"

    def new_client(self) -> str:
        return str(self.made("/api/clients", {"name": f"Client {self.number()}"})["id"])

    def new_draft(self) -> str:
        body = {"client_id": self.client_id, "line_items": [self.line()]}
        return str(self.made("/api/invoices", body)["id"])

    def new_invoice(self) -> str:
        id = self.new_draft()
        sent = self._owner.patch(f"/api/invoices/{id}/status", json={"status": "sent"})
        assert sent.status_code == 200, sent.text
        return id

    def new_payment(self) -> str:
        body = {
            "amount": "50.00",
            "method": "cash",
            "invoice_id": self.invoice_id,
            "confirm_duplicate": True,
        }
        return str(self.made("/api/payments", body)["id"])

    def new_contact(self) -> str:
        return str(self.made(self.of_client("contacts"), {"first_name": "Jane"})["id"])

    def new_account(self) -> str:
        return str(self.made(self.of_client("bank-accounts"), self.account())["id"])

    def account(self) -> dict[str, Any]:
        number = f"{self.number():010}"
        return {"type": "other", "account_number": number, "account_holder": "Acme"}

    def new_credit(self) -> str:
        body = {"type": "goodwill", "amount": "50.00"}
        return str(self.made(self.of_client("credits"), body)["id"])

    def new_application(self) -> tuple[str, str]:
        """A credit, and its application to an invoice."""
        credit_id = self.new_credit()
        body = {"invoice_id": self.invoice_id, "amount": "0.01"}
        applied = self.made(self.of_client(f"credits/{credit_id}/apply"), body)
        return credit_id, str(applied["applications"][-1]["application_id"])

    def new_code(self) -> str:
        code = f"T{self.number()}"
        self.made("/api/workspace/tax-codes", {"code": code, "name": "Tax", "rate": "20"})
        return code

    def new_invitation(self) -> str:
        body = {"email": f"guest{self.number()}@example.com", "role": "member"}
        return str(self.made("/api/workspace/members", body)["id"])

    def new_key(self) -> str:
        body = {"name": "Key", "permissions": ["clients:read"]}
        return str(self.made("/api/workspace/api-keys", body)["id"])

    def new_merge(self) -> str:
        body = {"primary_id": self.new_client(), "duplicate_ids": [self.new_client()]}
        return str(self.made("/api/clients/merge", body)["merge_id"])
