"""The compliance report: what it says was looked at, and its signature holds offline."""

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import projections.compliance
import zeroinvoice.readside.reader
from projections.compliance import SignedReport
from zeroinvoice.domain.series import NumberChosen, NumberSeries, NumberTaken, series_id
from zeroinvoice.domain.two_factor import TwoFactor, TwoFactorEnabled, TwoFactorPrepared
from zeroinvoice.domain.two_factor import two_factor_of as factor_of
from zeroinvoice.domain.user import User, UserRegistered
from zeroinvoice.journal.heads import Signer
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.policies.witness import Witness

WHERE = "/api/audit/compliance-report"
IBAN = "DE89370400440532013000"
TODAY = date(2026, 3, 31)


def reported(office: Any, **query: Any) -> dict[str, Any]:
    answer = office.get(WHERE, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def report_of(office: Any, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = reported(office, **query)["report"]
    return found


def codes(report: dict[str, Any]) -> list[str]:
    return [it["code"] for it in report["exceptions"]]


def witnessed(house: Any) -> None:
    url = conninfo(house.database_url, WORK_ROLE, application="witness test")
    keyring = Keyring(*house.settings.secret_keys)
    Witness(url, house.settings.heads_dir, keyring, house.clock).sign()


@pytest.fixture
def lone(new_database: Callable[[], str], open_house: Callable[..., Any], tmp_path: Path) -> Any:
    """A workspace in a house of its own, whose database may be harmed."""
    house = open_house(new_database())
    office = house.office()
    office.made("/api/clients", {"name": "Acme"})
    return office


# The signature


def test_the_signature_holds_offline_with_the_public_key(house: Any, office: Any) -> None:
    """A25-7: signed with the key of the heads; nothing of ours is needed to check it."""
    office.made("/api/clients", {"name": "Søren “Acme” \\ Co \x7f"})
    answer = reported(office)
    assert answer["key"] == Signer(Keyring(*house.settings.secret_keys)).public
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(answer["key"]))
    report = answer["report"]

    def text(it: dict[str, Any]) -> bytes:
        return json.dumps(it, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    public.verify(bytes.fromhex(answer["signature"]), text(report))
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(answer["signature"]), text({**report, "seq": 1}))
    assert msgspec.convert(answer, SignedReport).holds
    assert not msgspec.convert({**answer, "report": {**report, "seq": 1}}, SignedReport).holds


def test_a_report_is_on_record_with_its_signature(office: Any) -> None:
    """A25-8: so a copy can be told to be the one that was handed out."""
    answer = reported(office, **{"from": "2026-11-01", "to": "2026-11-30"})
    (entry,) = office.get("/api/audit/logs?action=ComplianceReportSigned").json()["items"]
    told = {it["path"]: it["new"] for it in entry["changes"]}
    assert told["signature"] == answer["signature"]
    assert (told["first_on"], told["last_on"]) == ("2026-11-01", "2026-11-30")
    assert told["upto"] == answer["report"]["seq"] < entry["seq"]


# The chain


def test_the_chain_is_verified_and_held_against_signed_heads(house: Any, office: Any) -> None:
    """A25-7: first and last seq, the head's hash, and the heads there are as anchors."""
    office.made("/api/clients", {"name": "Acme"})
    witnessed(house)
    office.made("/api/clients", {"name": "Bolt"})
    entries = office.get("/api/audit/logs?limit=200").json()["items"]
    report = report_of(office)
    chain = report["chain"]
    assert (chain["verified"], chain["broken_at"], chain["why"]) == (True, None, None)
    assert chain["first_seq"] == entries[-1]["seq"]
    newest = office.get("/api/audit/logs?limit=200").json()["items"]
    by_seq = {it["seq"]: it for it in newest}
    head = chain["head"]["head"]
    assert chain["last_seq"] == head["position"] == report["seq"]
    assert head["chain"] == by_seq[chain["last_seq"]]["hash"]
    assert chain["facts"] == head["size"]
    assert chain["anchors"] == 1
    assert chain["anchored_from"] == chain["anchored_to"]
    assert chain["bad_anchors"] == []


def harm(url: str, statement: str, values: list[Any]) -> None:
    """As somebody would who owns the database and has switched its guards off."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE facts DISABLE TRIGGER ALL")
        connection.execute(statement.encode(), values)
        connection.execute("ALTER TABLE facts ENABLE ALWAYS TRIGGER facts_for_ever")
        connection.execute("ALTER TABLE facts ENABLE ALWAYS TRIGGER facts_in_order")
        connection.execute("ALTER TABLE facts ENABLE ALWAYS TRIGGER facts_without_gap")


def test_a_changed_byte_is_reported_where_it_is(lone: Any) -> None:
    """A25-7, G29: verified means verified."""
    (added,) = lone.get("/api/audit/logs?action=ClientAdded").json()["items"]
    statement = "UPDATE facts SET state = replace(state, 'erased', 'erazed') WHERE position = %s"
    harm(lone.house.database_url, statement, [added["seq"]])
    report = report_of(lone)
    chain = report["chain"]
    assert (chain["verified"], chain["broken_at"]) == (False, added["seq"])
    assert "hash" in chain["why"]
    assert "chain_broken" in codes(report)


def test_a_cut_tail_is_reported_from_the_signed_heads(lone: Any) -> None:
    """A25-7, G29: a chain alone cannot show it; the anchors do."""
    lone.made("/api/clients", {"name": "Bolt"})
    witnessed(lone.house)
    last = lone.get("/api/audit/logs?action=ClientAdded").json()["items"][0]
    assert report_of(lone)["chain"]["verified"] is True
    statement = "DELETE FROM facts WHERE position >= %s AND tenant_id = %s"
    harm(lone.house.database_url, statement, [last["seq"], lone.tenant])
    answer = lone.get(WHERE)
    assert answer.status_code == 200, answer.text
    chain = answer.json()["report"]["chain"]
    assert chain["verified"] is False
    assert "signed for" in chain["why"] or "are here" in chain["why"]


def test_heads_that_are_not_ours_are_no_anchors(lone: Any) -> None:
    """A25-7: a forged head, or a file that cannot be read, is itself worth a question."""
    witnessed(lone.house)
    folder = lone.house.settings.heads_dir
    (file,) = folder.glob("*.jsonl")
    good = next(it for it in file.read_text().splitlines() if str(lone.tenant) in it)
    forged = good.replace('"size":', '"size":1')
    file.write_text(f"{good}\n{forged}\n")
    report = report_of(lone)
    assert (report["chain"]["verified"], report["chain"]["anchors"]) == (True, 1)
    assert codes(report) == ["bad_signed_head"]
    file.write_text(f"{good}\n{lone.tenant} is not JSON\n")
    report = report_of(lone)
    assert report["chain"]["anchors"] == 0
    assert codes(report) == ["bad_signed_head"]


def test_a_long_chain_leaves_time_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, office: Any
) -> None:
    """A25-7: a read has its time, and to verify a long chain takes more."""
    monkeypatch.setattr(zeroinvoice.readside.reader, "LONGEST", 2.0)
    verified = projections.compliance.checked

    def slow(*asked: Any) -> Any:
        time.sleep(2.2)
        return verified(*asked)

    monkeypatch.setattr(projections.compliance, "checked", slow)
    assert report_of(office)["chain"]["verified"] is True


# Numbers


def numbered(office: Any, *events: NumberTaken | NumberChosen) -> str:
    series = series_id(office.tenant, "test")

    def given(desk: Any) -> None:
        it = desk.find(NumberSeries, series)
        desk.record(it, events)

    office.house.commit(office.tenant, given, office.user)
    return str(series)


def taken(sequence: int, kind: Any = NumberTaken) -> Any:
    return kind(f"T-{sequence}", sequence, "2026", "T-{SEQ}", uuid4(), TODAY)


def series_in(report: dict[str, Any], series: str) -> dict[str, Any]:
    found: dict[str, Any] = next(it for it in report["sequences"] if it["series"] == series)
    return found


def test_numbers_are_counted_again_from_the_journal(office: Any) -> None:
    """A25-7, beyond 12: a gap that somebody chose is named, one that just is there is wrong."""
    series = numbered(office, taken(1), taken(2), taken(5, NumberChosen), taken(6))
    report = report_of(office)
    found = series_in(report, series)
    assert (found["verified"], found["numbers"], found["wrong"]) == (True, 4, [])
    assert found["forms"] == ["T-{SEQ}"]
    assert found["buckets"] == [{"bucket": "2026", "highest": 6, "gaps": [{"first": 3, "last": 4}]}]
    assert codes(report) == ["number_gap"]


@pytest.mark.parametrize("wrong", [taken(4), taken(2), taken(1, NumberChosen)])
def test_a_number_that_does_not_follow_is_named(office: Any, wrong: Any) -> None:
    """A25-7: skipped without a choice, or given twice."""
    series = numbered(office, taken(1), taken(2), wrong)
    report = report_of(office)
    found = series_in(report, series)
    assert found["verified"] is False
    assert len(found["wrong"]) == 1
    assert "number_out_of_order" in codes(report)


def test_real_invoices_are_numbered_without_gap(office: Any) -> None:
    """A25-7: what the API itself gives always holds."""
    client = office.made("/api/clients", {"name": "Acme"})["id"]
    line = {"description": "Work", "unit_price": "1"}
    for _ in range(3):
        body = {"client_id": client, "line_items": [line]}
        invoice = office.made("/api/invoices", body)["id"]
        office.patch(f"/api/invoices/{invoice}/status", json={"status": "sent"})
    report = report_of(office)
    (found,) = (it for it in report["sequences"] if it["forms"][0].startswith("INV"))
    assert (found["verified"], found["numbers"]) == (True, 3)
    assert report["exceptions"] == []


# The period


def test_what_is_counted_is_of_the_period(house: Any, office: Any) -> None:
    """A25-7: bank data, erasures, failed logins and accesses; days of the workspace's zone."""
    client = office.made("/api/clients", {"name": "Acme", "currency": "EUR"})["id"]
    where = f"/api/customers/{client}/bank-accounts"
    body = {"type": "iban", "iban": IBAN, "account_holder": "Acme"}
    account = office.made(where, body)["id"]
    assert office.delete(f"{where}/{account}").status_code == 200
    gone = office.made("/api/clients", {"name": "Zoe"})["id"]
    office.made(f"/api/customers/{gone}/contacts", {"first_name": "Zoe"})
    erased = office.post(f"/api/clients/{gone}/erase", json={"confirm_name": "Zoe"})
    assert erased.status_code == 200, erased.text
    office.get("/api/audit/logs")
    failed(office)
    report = report_of(office)
    by_action = {it["action"]: it for it in report["bank_data"]}
    assert by_action["BankAccountAdded"]["count"] == 1
    assert by_action["BankAccountAdded"]["actor"]["id"] == str(office.user)
    assert sorted(report["erasures"], key=lambda it: it["key"]) == [
        {"key": "BankAccountRemoved", "count": 1},
        {"key": "ClientErased", "count": 1},
    ]
    assert report["failed_logins"]["total"] == 1
    assert report["accesses"] == [{"key": "AuditLogRead", "count": 1}]
    assert IBAN not in json.dumps(report)
    last = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    before = report_of(office, to=last)
    assert before["period"]["last_on"] == last
    assert before["bank_data"] == before["erasures"] == before["accesses"] == []
    assert before["failed_logins"]["total"] == 0
    assert before["chain"]["facts"] > 0  # the chain is always the whole one


def failed(office: Any) -> None:
    def failing(desk: Any) -> None:
        it = desk.new(User)
        email = f"{uuid4().hex}@example.com"
        it = desk.record(it, [UserRegistered(email, "A Role", "$argon2id$x", "en", "d")])
        desk.record(it, it.fail_login())

    office.house.commit(office.tenant, failing)


def test_members_without_a_second_factor_are_named(office: Any) -> None:
    """A25-7: two-factor coverage."""
    first = report_of(office)["second_factors"]
    assert (first["members"], first["covered"]) == (1, 0)
    assert first["uncovered"] == [{"id": str(office.user), "name": None, "role": "owner"}]

    def secured(desk: Any) -> None:
        it = desk.new(TwoFactor, factor_of(office.tenant, office.user))
        secret = uuid4()
        desk.record(it, [TwoFactorPrepared(office.user, secret), TwoFactorEnabled(1, ("x",))])

    office.house.commit(office.tenant, secured, office.user)
    second = report_of(office)["second_factors"]
    assert (second["members"], second["covered"], second["uncovered"]) == (1, 1, [])


def test_a_read_model_that_stands_still_is_an_open_exception(lone: Any) -> None:
    """A25-7."""
    with psycopg.connect(lone.house.database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO checkpoints (name, shape, generation, error, error_at)"
            " VALUES ('stand_in', 1, 1, 'ValueError: secret words', 1)"
        )
    report = report_of(lone)
    assert report["exceptions"] == [{"code": "read_model_stopped", "detail": "stand_in"}]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("format=pdf", 422, "unknown_format"),
        ("from=2026-02-01&to=2026-01-01", 400, "bad_input"),
        ("from=2024-01-01&to=2025-01-01", 422, "period_too_long"),
        ("from=1066-10-14", 400, "bad_input"),
        ("from=soon", 400, "bad_input"),
        ("as_of=2026-01-01T00:00:00Z", 400, "as_of_not_supported"),
    ],
)
def test_a_report_that_cannot_be_made_says_why(
    office: Any, query: str, status: int, code: str
) -> None:
    """A25-7."""
    answer = office.get(f"{WHERE}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_one_report_is_made_at_a_time(office: Any) -> None:
    """It reads a whole journal: many at once would take the reads of everybody else."""
    with projections.compliance._alone():
        answer = office.get(WHERE)
        assert (answer.status_code, answer.json()["code"]) == (503, "report_in_progress")
        assert int(answer.headers["retry-after"]) > 0
    assert office.get(WHERE).status_code == 200
