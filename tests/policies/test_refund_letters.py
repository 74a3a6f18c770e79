"""Word to a client when the account for its refunds is another one."""

import email
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import uuid4

import pytest

IBAN, OTHER = "DE89370400440532013000", "FR1420041010050500013M02606"


class Mailed:
    """A client with addresses of its own, and the letters that reach them."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.own, self.ann = (f"{uuid4().hex[:12]}@acme.example" for _ in range(2))
        body = {"name": "Acme Corp", "email": self.own}
        self.client = office.made("/api/clients", body)["id"]

    def add(self, **more: Any) -> str:
        body = {"type": "iban", "iban": IBAN, "account_holder": "Acme Corp", **more}
        return str(self.office.made(f"/api/customers/{self.client}/bank-accounts", body)["id"])

    def revise(self, account: str, **changes: Any) -> None:
        path = f"/api/customers/{self.client}/bank-accounts/{account}"
        assert self.office.patch(path, json=changes).status_code == 200

    def remove(self, account: str) -> None:
        path = f"/api/customers/{self.client}/bank-accounts/{account}"
        assert self.office.delete(path).status_code == 200

    def contact(self, **body: Any) -> None:
        self.office.made(f"/api/customers/{self.client}/contacts", body)

    def letters(self, to: str) -> list[EmailMessage]:
        folder = self.office.house.settings.mail_dir
        found = [
            email.message_from_bytes(path.read_bytes(), policy=default)
            for path in sorted(folder.glob("*.eml"))
        ]
        return [it for it in found if it["To"] == to]


@pytest.fixture
def mailed(office: Any) -> Mailed:
    return Mailed(office)


def test_the_primary_contact_hears_of_another_account_for_refunds(
    mailed: Mailed, eventually: Any
) -> None:
    """A6-7: by its mask, in the workspace's name."""
    mailed.contact(first_name="Ann", email=mailed.ann)
    mailed.contact(first_name="Bob", email=f"bob-{mailed.ann}")
    mailed.add(purpose="refunds")
    eventually(lambda: len(mailed.letters(mailed.ann)) == 1)
    (letter,) = mailed.letters(mailed.ann)
    assert letter["Subject"] == "Your account for refunds was changed"
    text = letter.get_content()
    assert "DE** **** **** 3000, Acme Corp" in text
    assert "Test changed the bank account" in text
    assert IBAN not in letter.as_string()
    assert mailed.letters(mailed.own) == mailed.letters(f"bob-{mailed.ann}") == []


def test_every_way_to_change_it_is_told_and_nothing_else(mailed: Mailed, eventually: Any) -> None:
    """A6-7: added, chosen, used for something else, removed."""
    first = mailed.add(purpose="refunds")  # 1: the first
    mailed.add(iban="GB82WEST12345698765432")  # for information only
    second = mailed.add(iban=OTHER, purpose="refunds")  # not the default
    mailed.revise(second, bank_name="Banque")
    mailed.revise(second, is_default=True)  # 2
    mailed.revise(second, purpose="info")  # 3: the first again
    mailed.remove(second)
    mailed.remove(first)  # 4: none is left
    last = mailed.add(iban=OTHER, purpose="refunds")  # 5
    eventually(lambda: len(mailed.letters(mailed.own)) == 5)
    texts = [it.get_content() for it in mailed.letters(mailed.own)]
    assert sum("from now on: none" in text for text in texts) == 1
    assert last


def test_without_a_contacts_address_the_clients_own_is_used(
    mailed: Mailed, eventually: Any
) -> None:
    """A6-7."""
    mailed.contact(first_name="Ann")
    mailed.add(purpose="refunds")
    eventually(lambda: len(mailed.letters(mailed.own)) == 1)


def test_a_client_without_any_address_gets_no_letter_and_holds_up_nobody(
    office: Any, mailed: Mailed, eventually: Any
) -> None:
    """A6-7."""
    silent = Mailed(office)
    office.put(f"/api/clients/{silent.client}", json={"email": None})
    silent.add(purpose="refunds")
    mailed.add(purpose="refunds")  # later in the journal, so the one before was seen
    eventually(lambda: len(mailed.letters(mailed.own)) == 1)
    assert silent.letters(silent.own) == []
