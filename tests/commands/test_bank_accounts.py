"""Bank accounts over HTTP: checked, sealed, masked, one default for each purpose."""

from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from zeroinvoice.domain.bank_accounts import BankAccountAdded, bank_accounts_of
from zeroinvoice.domain.bank_numbers import bound_to
from zeroinvoice.gateways.sealing import Unsound

IBAN = "DE89370400440532013000"
OTHER_IBAN = "FR1420041010050500013M02606"


class Desk:
    """A client of an office, and its bank accounts."""

    def __init__(self, office: Any) -> None:
        self.office = office
        client = {"name": "Acme Corp", "currency": "EUR"}
        self.client = office.made("/api/clients", client)["id"]
        self.path = f"/api/customers/{self.client}/bank-accounts"

    def post(self, _key: str | None = None, **more: Any) -> Any:
        body = {"type": "iban", "iban": IBAN, "account_holder": "Acme Corp", **more}
        headers = {"Idempotency-Key": _key} if _key else {}
        return self.office.post(
            self.path, json={k: v for k, v in body.items() if v is not None}, headers=headers
        )

    def add(self, **more: Any) -> dict[str, Any]:
        answer = self.post(**more)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def revise(self, account: dict[str, Any], **changes: Any) -> Any:
        return self.office.patch(f"{self.path}/{account['id']}", json=changes)

    def remove(self, account: dict[str, Any]) -> Any:
        return self.office.delete(f"{self.path}/{account['id']}")

    def items(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.office.get(self.path, params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def defaults(self) -> dict[str, str]:
        return {it["purpose"]: it["id"] for it in self.items() if it["is_default"]}

    def facts(self) -> list[Any]:
        found: list[Any] = self.office.facts(
            bank_accounts_of(self.office.tenant, UUID(self.client))
        )
        return found

    def story(self) -> list[str]:
        return [type(fact.event).__name__ for fact in self.facts()]


@pytest.fixture
def desk(office: Any) -> Desk:
    return Desk(office)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    return body


US = {
    "type": "us_ach",
    "iban": None,
    "account_number": "000123456789",
    "routing_number": "021000021",
}
UK = {"type": "uk", "iban": None, "account_number": "31926819", "sort_code": "60-16-13"}
AU = {"type": "au_bsb", "iban": None, "account_number": "123456789", "bsb": "062-000"}
ELSEWHERE = {"type": "other", "iban": None, "account_number": "AB 123 456 789", "country": "JP"}


def test_an_account_is_added_masked_and_listed(desk: Desk) -> None:
    """A6-1, A6-4."""
    body = {
        "bic": "cobadeffxxx",
        "bank_name": "Commerzbank",
        "purpose": "direct_debit",
        "mandate_ref": "M-1",
        "mandate_signed_at": "2026-01-02T10:00:00Z",
    }
    made = desk.add(**body)
    assert {name: made[name] for name in body} == {**body, "bic": "COBADEFFXXX"}
    assert (made["iban"], made["last4"]) == ("DE** **** **** 3000", "3000")
    assert (made["country"], made["currency"]) == ("DE", "EUR")
    assert made["is_default"] is True
    assert [made[name] for name in ("account_number", "routing_number", "sort_code", "bsb")] == (
        [None] * 4
    )
    assert desk.items() == [{**made, "deleted": False}]
    assert desk.office.get(f"{desk.path}/").json()["items"] == [{**made, "deleted": False}]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (US, {"account_number": "**** 6789", "routing_number": "*******21", "country": "US"}),
        (UK, {"account_number": "**** 6819", "sort_code": "****13", "country": "GB"}),
        (AU, {"account_number": "**** 6789", "bsb": "****00", "country": "AU"}),
        (ELSEWHERE, {"account_number": "**** 6789", "country": "JP"}),
    ],
)
def test_every_type_has_its_own_fields(
    desk: Desk, body: dict[str, Any], shown: dict[str, str]
) -> None:
    """A6-1, A6-4."""
    made = desk.add(**body)
    assert {name: made[name] for name in shown} == shown
    assert made["iban"] is None
    (item,) = desk.items()
    assert {name: item[name] for name in shown} == shown


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"iban": "DE89370400440532013001"}, 422, "bad_iban"),
        ({**US, "routing_number": "021000022"}, 422, "bad_routing_number"),
        ({**UK, "sort_code": "601"}, 422, "bad_sort_code"),
        ({**AU, "bsb": "06200"}, 422, "bad_bsb"),
        ({**ELSEWHERE, "account_number": "?"}, 422, "bad_account_number"),
        ({"bic": "COBA"}, 422, "bad_bic"),
        ({"iban": None}, 422, "number_parts"),
        ({"bsb": "062000"}, 422, "number_parts"),
        ({"account_holder": "  "}, 422, "bad_account_holder"),
        ({"account_holder": None}, 400, "bad_input"),
        ({"currency": "XXQ"}, 422, "unknown_currency"),
        ({"currency": ""}, 422, "unknown_currency"),
        ({"country": "FR"}, 422, "country_mismatch"),
        ({"mandate_signed_at": "2126-01-01T00:00:00Z"}, 400, "bad_input"),
        ({"mandate_signed_at": "2099-01-01T00:00:00Z"}, 422, "signed_in_future"),
        ({"mandate_signed_at": "2026-01-01T00:00:00"}, 400, "bad_input"),
        ({"type": "paypal"}, 400, "bad_input"),
        ({"purpose": "fun"}, 400, "bad_input"),
        ({"iban": 12}, 400, "bad_input"),
        ({"sealed": "x"}, 400, "bad_input"),
    ],
)
def test_what_is_unsound_is_refused_and_changes_nothing(
    desk: Desk, body: dict[str, Any], status: int, code: str
) -> None:
    """A6-2."""
    answer = desk.post(**body)
    problem(answer, status, code)
    assert IBAN not in answer.text
    assert desk.story() == []
    assert desk.items() == []


def test_what_is_on_record_opens_only_with_the_key_and_for_this_account(
    desk: Desk, vault: Any
) -> None:
    """A6-3: AES-256-GCM under a key of the account's own, bound to workspace, client, account."""
    made = desk.add()
    (fact,) = desk.facts()
    assert isinstance(fact.event, BankAccountAdded)
    kept, tenant = fact.event.number, desk.office.tenant
    assert (kept.last4, kept.sealed_for) == ("3000", UUID(desk.client))
    key = vault.existing(tenant, kept.sealed_by)
    about = bound_to(tenant, UUID(desk.client), UUID(made["id"]))
    assert key.open(kept.sealed, *about) == f"iban::{IBAN}"
    for other in (
        bound_to(uuid4(), UUID(desk.client), UUID(made["id"])),
        bound_to(tenant, uuid4(), UUID(made["id"])),
        bound_to(tenant, UUID(desk.client), uuid4()),
        (*about[:3], "iban"),
    ):
        with pytest.raises(Unsound):
            key.open(kept.sealed, *other)


def test_the_same_account_is_not_added_twice(office: Any, house: Any) -> None:
    """A6-3: by fingerprint, however it is written; another client may have it as well."""
    desk, other, elsewhere = Desk(office), Desk(office), Desk(house.office())
    made = desk.add()
    again = desk.post(iban="de89 3704 0044 0532 0130 00", purpose="refunds")
    assert problem(again, 409, "duplicate_account")["account_id"] == made["id"]
    assert desk.add(iban=OTHER_IBAN)["last4"] == "2606"
    prints = {}
    for it in (desk, other, elsewhere):
        if it is not desk:
            it.add()
        prints[it.client] = it.facts()[0].event.number.fingerprint
    assert prints[desk.client] == prints[other.client]  # so that a merge can tell
    assert prints[desk.client] != prints[elsewhere.client]  # and nobody else
    assert desk.remove(made).status_code == 200
    assert desk.add()["id"] != made["id"]


@pytest.mark.parametrize(
    "number", [{"iban": OTHER_IBAN}, {"account_number": "1"}, {"bsb": "062000"}]
)
def test_a_number_never_changes(desk: Desk, number: dict[str, str]) -> None:
    """A6-5."""
    made = desk.add()
    answer = desk.revise(made, **number, bank_name="X")
    assert problem(answer, 422, "number_fixed")["field"] == next(iter(number))
    assert OTHER_IBAN not in answer.text
    assert desk.story() == ["BankAccountAdded"]
    for fixed in ({"type": "uk"}, {"last4": "1111"}):
        assert desk.revise(made, **fixed).status_code == 400


def test_what_is_beside_the_number_changes(desk: Desk) -> None:
    """A6-5."""
    made = desk.add(bank_name="Old", bic="COBADEFF")
    changes = {"bank_name": "New", "account_holder": "Acme GmbH", "currency": "USD", "bic": None}
    answer = desk.revise(made, **changes)
    assert answer.headers["etag"] == '"2"'
    shown = answer.json()
    assert {name: shown[name] for name in changes} == changes
    assert shown["iban"] == made["iban"]
    (item,) = desk.items()
    assert item == {**shown, "deleted": False}
    assert desk.revise(made, **changes).json()["version"] == 2
    problem(desk.revise(made, account_holder=""), 422, "bad_account_holder")
    problem(desk.revise(made, country="FR"), 422, "country_mismatch")
    assert desk.story() == ["BankAccountAdded", "BankAccountRevised"]


def test_where_an_account_of_another_type_is_can_be_corrected(desk: Desk) -> None:
    made = desk.add(**ELSEWHERE)
    assert desk.revise(made, country="SG").json()["country"] == "SG"
    assert desk.items()[0]["country"] == "SG"
    assert desk.revise(made, country=None).json()["country"] is None
    assert desk.items()[0]["country"] is None


def test_one_account_is_the_default_for_each_purpose(desk: Desk) -> None:
    """A6-6."""
    first, second = desk.add(purpose="refunds"), desk.add(**UK, purpose="refunds")
    third = desk.add(**US, purpose="direct_debit")
    assert desk.defaults() == {"refunds": first["id"], "direct_debit": third["id"]}
    assert desk.revise(second, is_default=True).json()["is_default"] is True
    assert desk.defaults()["refunds"] == second["id"]
    assert desk.story()[3:] == ["DefaultBankAccountChosen"]  # the other is none in the same event
    problem(desk.revise(second, is_default=False), 409, "default_needed")
    desk.revise(second, purpose="direct_debit")
    assert desk.defaults() == {"refunds": first["id"], "direct_debit": third["id"]}
    fourth = desk.add(**AU, purpose="refunds", is_default=True)
    assert desk.defaults()["refunds"] == fourth["id"]
    assert [it["id"] for it in desk.items(purpose="refunds")] == [fourth["id"], first["id"]]


def test_removing_a_default_says_which_takes_its_place(desk: Desk) -> None:
    """A6-6."""
    first, second = desk.add(), desk.add(**UK)
    gone = desk.remove(first).json()
    assert gone == {"id": first["id"], "promoted": True, "default_account_id": second["id"]}
    assert desk.defaults() == {"info": second["id"]}
    last = desk.remove(second).json()
    assert (last["promoted"], last["default_account_id"]) == (False, None)
    assert desk.items() == []
    assert [it["deleted"] for it in desk.items(include_deleted=True)] == [True, True]
    for answer in (desk.remove(first), desk.revise(first, bank_name="x")):
        problem(answer, 404, "not_found")


def test_ids_of_others_are_not_there(office: Any, house: Any) -> None:
    """T4: another workspace's, and another client's of the same one; no key is made for them."""
    desk, sibling, foreign = Desk(office), Desk(office), Desk(house.office())
    made = desk.add()
    body = {"type": "iban", "iban": IBAN, "account_holder": "Eve"}
    problem(foreign.office.post(desk.path, json=body), 404, "not_found")
    problem(foreign.office.get(desk.path), 404, "not_found")
    for it, path in (
        (foreign.office, desk.path),
        (foreign.office, foreign.path),
        (desk.office, sibling.path),
        (desk.office, f"/api/customers/{uuid4()}/bank-accounts"),
    ):
        problem(it.patch(f"{path}/{made['id']}", json={"bank_name": "x"}), 404, "not_found")
        problem(it.delete(f"{path}/{made['id']}"), 404, "not_found")
    assert desk.story() == ["BankAccountAdded"]
    with psycopg.connect(house.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM vault_keys WHERE tenant_id = %s", [foreign.office.tenant]
        ).fetchone()
    assert row == (0,)


def test_a_deleted_clients_accounts_are_not_there(desk: Desk) -> None:
    made = desk.add()
    assert desk.office.delete(f"/api/clients/{desk.client}").status_code == 204
    answers = (desk.post(**UK), desk.office.get(desk.path), desk.remove(made), desk.revise(made))
    for answer in answers:
        problem(answer, 404, "not_found")


def test_a_key_gives_the_first_answer_again_although_it_is_sealed_anew(desk: Desk) -> None:
    """R-CMD-1: the second sealing is not recorded, and the answer never showed the first."""
    key = uuid4().hex
    first, again = desk.post(key), desk.post(key)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    problem(desk.post(key, iban=OTHER_IBAN), 422, "idempotency_key_reused")
    assert desk.story() == ["BankAccountAdded"]


def test_what_is_kept_of_a_keyed_request_confirms_no_guess(desk: Desk, house: Any) -> None:
    """T31: a plain hash of a body would tell everybody who tries all numbers of a bank."""
    key, form = uuid4().hex, {"Content-Type": "application/json"}
    body = f'{{"type": "iban", "iban": "{IBAN}", "account_holder": "Acme"}}'.encode()
    headers = {**form, "Idempotency-Key": key}
    assert desk.office.post(desk.path, content=body, headers=headers).status_code == 201
    scope = "\n".join((desk.office.tenant.hex, desk.office.user.hex, "POST", desk.path, key))
    with psycopg.connect(house.database_url) as connection:
        row = connection.execute(
            "SELECT fingerprint FROM answers WHERE key = %s", [sha256(scope.encode()).digest()]
        ).fetchone()
    assert row is not None
    for bound in ("", desk.client, str(desk.office.tenant)):
        guess = sha256("\n".join(("", form["Content-Type"], bound)).encode() + body).digest()
        assert row[0] != guess


def test_a_stale_version_is_refused(desk: Desk) -> None:
    """R-CMD-2: the version is that of all the client's accounts."""
    made = desk.add()
    desk.add(**UK)
    path, stale = f"{desk.path}/{made['id']}", {"If-Match": '"1"'}
    problem(desk.office.delete(path, headers=stale), 412, "stale")
    assert desk.office.delete(path, headers={"If-Match": '"2"'}).status_code == 200


def test_lists_are_searched_by_what_may_be_shown(desk: Desk) -> None:
    """A6-3: the number itself finds nothing."""
    made = desk.add(bank_name="Commerzbank")
    desk.add(**UK, account_holder="Somebody")
    for q in ("commerz", "3000", "acme"):
        assert [it["id"] for it in desk.items(q=q)] == [made["id"]]
    assert desk.items(q=IBAN) == desk.items(q=IBAN[4:12]) == []
    assert [it["account_holder"] for it in desk.items(sort="account_holder")] == [
        "Acme Corp",
        "Somebody",
    ]


def test_the_audit_log_shows_neither_number_nor_ciphertext(desk: Desk) -> None:
    """A6-6: it keeps the fingerprint and the last four."""
    desk.remove(desk.add())
    added, removed = (fact.event for fact in desk.facts())
    stream = bank_accounts_of(desk.office.tenant, UUID(desk.client))
    path = f"/api/audit/resource/bank_accounts/{stream}/history"
    answer = desk.office.get(path)
    assert answer.status_code == 200, answer.text
    assert added.number.sealed not in answer.text
    assert str(added.number.sealed_by) not in answer.text
    assert added.number.fingerprint in answer.text
    assert [it["action"] for it in answer.json()["items"]] == [
        "BankAccountAdded",
        "BankAccountRemoved",
    ]
    shown = {it["path"]: it["new"] for it in answer.json()["items"][0]["changes"]}
    assert shown["accounts.0.number.sealed"] == "•••"
    found = desk.office.get("/api/audit/logs", params={"q": added.number.sealed[:20]})
    assert found.json()["items"] == []
    assert removed.last4 == "3000"
