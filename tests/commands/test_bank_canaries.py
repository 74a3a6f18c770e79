"""Canaries: bank numbers sent through every route are nowhere afterwards, in no spelling.

Beside each goes a harmless marker, which is found in every place that is searched: so the places
were really searched, and a number that lay there would have been found as well.
"""

import base64
import io
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import structlog
from psycopg import sql

from zeroinvoice.gateways.sealing import DataKey
from zeroinvoice.gateways.vault import Vault
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.proof import export
from zeroinvoice.logs import configure

MARKER, HOLDER = "Marker & Sons Bank", "Marker Holder 4711"
UNSOUND = "DE75512108001245126190"  # a checksum nobody has
ACCOUNTS: list[dict[str, str]] = [
    {"type": "iban", "iban": "DE75512108001245126199"},
    {"type": "us_ach", "account_number": "48151623420042", "routing_number": "011103093"},
    {"type": "uk", "account_number": "70872490", "sort_code": "40-47-84"},
    {"type": "au_bsb", "account_number": "983627145", "bsb": "484-799"},
]
CANARIES = sorted({UNSOUND, *(v for it in ACCOUNTS for k, v in it.items() if k != "type")})


def spellings(number: str) -> Iterator[str]:
    """A number as it might lie about: plain, in groups, in hex, in base64 at any offset."""
    plain = number.replace("-", "")
    groups = (plain[n : n + 4] for n in range(0, len(plain), 4))
    yield from {number, plain, plain.lower(), " ".join(groups)}
    yield plain.encode().hex()
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + plain.encode()).decode().rstrip("=")
        yield encoded[-(-offset * 8 // 6) : len(encoded) - 1]


def seen(place: str) -> list[str]:
    """The canaries a place holds. A short one may be a part of a hash or a fraction by chance."""
    found = []
    for number in CANARIES:
        for spelling in spellings(number):
            alone = len(spelling) < 8 and spelling.isdigit()
            edges = r"(?<![0-9a-fA-F.]){}(?![0-9a-fA-F])" if alone else "{}"
            if re.search(edges.format(re.escape(spelling)), place):
                found.append(spelling)
    return found


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log as a process of its own writes it, down to the last level."""
    written = io.StringIO()
    configure("debug", to=written)
    yield written
    structlog.reset_defaults()


@pytest.mark.parametrize("number", CANARIES)
def test_a_canary_is_found_in_any_spelling(number: str) -> None:
    """The search can fail: it finds what it looks for."""
    plain = number.replace("-", "")
    around = f'"sealed": "{plain}"'
    for text in (
        around,
        f"{number}.",
        around.encode().hex(),
        *(base64.b64encode(b"x" * n + around.encode()).decode() for n in range(3)),
    ):
        assert seen(text), text
    assert seen(f"nothing here but {uuid4()}") == []


def dump(url: str) -> dict[str, str]:
    """Every row of every table, as text; bytes are hexadecimal."""
    named = (
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    with psycopg.connect(url) as connection:
        tables = connection.execute(named).fetchall()
        found = {}
        for schema, table in tables:
            every = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
            found[f"{schema}.{table}"] = "\n".join(row[0] for row in connection.execute(every))
    return found


def exported(url: str) -> str:
    journal, file = Journal.at(url), io.BytesIO()
    try:
        assert export(journal.every_row(), file)
    finally:
        journal.close()
    return file.getvalue().decode()


class Sender:
    """Sends numbers wherever one could be sent, and keeps every answer."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.answers: list[str] = []
        body = {"name": "Acme Corp", "email": "acme@marker.example"}
        self.client = office.made("/api/clients", body)["id"]
        self.path = f"/api/customers/{self.client}/bank-accounts"

    def send(self, method: str, path: str, status: int, **sent: Any) -> Any:
        key = {"Idempotency-Key": uuid4().hex}
        for _ in range(2):  # and once more, from what is kept of the first
            answer = self.office.http.request(method, path, headers=key, **sent)
            assert answer.status_code == status, (path, sent, answer.text)
            self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    def accepted(self, account: dict[str, str]) -> None:
        beside = {"account_holder": HOLDER, "bank_name": MARKER, "purpose": "refunds"}
        made = self.send("POST", self.path, 201, json={**account, **beside}).json()
        again = {**account, **beside, "purpose": "info"}
        self.send("POST", self.path, 409, json=again)
        path = f"{self.path}/{made['id']}"
        numbers = {name: value for name, value in account.items() if name != "type"}
        self.send("PATCH", path, 422, json=numbers)
        self.send("PATCH", f"{self.path}/{uuid4()}", 404, json={"bank_name": MARKER})
        self.send("PATCH", path, 200, json={"is_default": True})
        self.send("GET", self.path, 200, params={"q": next(iter(numbers.values()))})
        self.send("GET", f"/api/audit/logs?q={next(iter(numbers.values()))}", 200)

    def refused(self, number: str) -> None:
        sound = {"type": "iban", "iban": number, "account_holder": HOLDER}
        elsewhere = f"/api/customers/{uuid4()}/bank-accounts"
        self.send("POST", elsewhere, 404 if number != UNSOUND else 422, json=sound)
        wrong: list[tuple[int, dict[str, Any]]] = [
            (422, {"iban": f"{number}1"}),
            (422, {"account_number": number}),
            (422, {"bic": number}),
            (422, {"currency": number}),
            (422, {"country": number}),
            (422, {"mandate_ref": number * 2}),
            (400, {"type": number}),
            (400, {"purpose": number}),
            (400, {"is_default": number}),
            (400, {"mandate_signed_at": number}),
            (400, {"iban": [number]}),
            (400, {"iban": {number: number}}),
        ]
        for status, change in wrong:
            self.send("POST", self.path, status, json={**sound, "iban": number, **change})
        text = f'{{"iban": "{number}", "iban": "{number}"}}'
        as_json = {"Content-Type": "application/json"}
        for body, status in ((text, 400), (f'{{"iban": "{number}', 400), (number, 400)):
            answer = self.office.post(self.path, content=body, headers=as_json)
            assert answer.status_code == status
            self.answers.append(answer.text)
        answer = self.office.post(self.path, content=text)
        assert answer.status_code == 415
        self.answers.append(answer.text)

    def faulty(self, account: dict[str, str]) -> None:
        """A fault of ours, with the number in hand: it is logged whole, traceback and all."""
        answer = self.office.post(self.path, json={**account, "account_holder": HOLDER})
        assert answer.status_code == 500
        self.answers.append(answer.text)


def test_no_bank_number_is_left_anywhere(
    log: io.StringIO,  # before the house, which logs to it from the beginning
    new_database: Callable[[], str],
    open_house: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    """A6-3, T31 and T32: tables, answers, keys, logs, mails and an export hold none."""
    house = open_house(new_database())
    office = house.office()
    sender = Sender(office)
    for account in ACCOUNTS:
        sender.accepted(account)
    sender.refused("DE75512108001245126199")
    sender.refused(UNSOUND)
    for kind, name in ((Vault, "key_under"), (DataKey, "seal")):
        with monkeypatch.context() as broken:
            broken.setattr(kind, name, lambda *_: 1 / 0)
            sender.faulty({"type": "iban", "iban": "DE75512108001245126199"})
    letters = house.settings.mail_dir
    eventually(lambda: len(list(letters.glob("*.eml"))) >= len(ACCOUNTS))
    assert office.get("/api/audit/logs").status_code == 200  # the read models have caught up

    tables = dump(house.database_url)
    printed = capfd.readouterr()
    places = {
        **tables,
        "the journal's export": exported(house.database_url),
        "the letters": "\n".join(path.read_text() for path in letters.glob("*.eml")),
        "the log": log.getvalue(),
        "what else was printed": printed.out + printed.err,
        "the answers": "\n".join(sender.answers),
    }
    assert {name: found for name, place in places.items() if (found := seen(place))} == {}
    assert len(tables["public.vault_keys"].splitlines()) >= len(ACCOUNTS)
    assert len(tables["public.answers"].splitlines()) >= len(ACCOUNTS)
    for name in ("public.facts", "audit_1.audit", "the journal's export"):
        assert sender.client in places[name], name  # where all else is sealed
    for name in ("bank_accounts_1.accounts", "the answers"):
        assert MARKER in places[name], name
    assert HOLDER in places["the letters"]
    assert sender.client in places["the log"]
    assert "ZeroDivisionError" in places["the log"]
