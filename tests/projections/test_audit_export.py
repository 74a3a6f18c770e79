"""Audit exports: whole, in order, in bounded memory, proved by a signed head, harmless to open."""

import csv
import hashlib
import io
import json
import tracemalloc
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

import projections.audit_export
import zeroinvoice.readside.reader
from projections.audit_export import COLUMNS, FORMULA, ExportSeal, safe
from zeroinvoice.journal.heads import SignedHead, Signer
from zeroinvoice.journal.merkle import Tree
from zeroinvoice.kernel.secrets import Keyring

LOGS = "/api/audit/logs"


@pytest.fixture
def client_id(office: Any) -> str:
    made: dict[str, Any] = office.made("/api/clients", {"name": "Acme Corp"})
    return str(made["id"])


def exported(office: Any, form: str, **query: Any) -> Any:
    answer = office.get(LOGS, params={"format": form, **query})
    assert answer.status_code == 200, answer.text
    return answer


def lines(office: Any, **query: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The seal and the entries of an export, whose heading says what it is."""
    heading, *entries, seal = map(json.loads, exported(office, "jsonl", **query).text.splitlines())
    assert heading["format"] == "zeroinvoice-audit-1"
    assert seal["entries"] == len(entries)
    return seal, entries


def rows(office: Any, **query: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(office, "csv", **query).text, newline="")))


def test_the_whole_log_is_proved_by_its_signed_head(
    house: Any, office: Any, client_id: str
) -> None:
    """A25-3: whoever has the file and the public key can tell that nothing is missing from it."""
    house.office().made("/api/clients", {"name": "Another workspace"})
    office.put(f"/api/clients/{client_id}", json={"notes": "Seen"})
    seal, entries = lines(office)
    signed = msgspec.convert(seal["head"], SignedHead)
    head = signed.check([Signer(Keyring(*house.settings.secret_keys)).public])
    assert head.tenant == office.tenant
    assert entries[0]["prev_hash"] == "00" * 32
    assert all(after["prev_hash"] == before["hash"] for before, after in pairwise(entries))
    assert (entries[-1]["seq"], entries[-1]["hash"]) == (head.position, head.chain)
    tree = Tree()
    for entry in entries:
        tree.add(bytes.fromhex(entry["hash"]))
    assert (tree.size, tree.root().hex()) == (head.size, head.root)


def test_an_export_has_the_entries_of_the_log_oldest_first(office: Any, client_id: str) -> None:
    """A25-3: every field of an entry, and the same filters."""
    office.put(f"/api/clients/{client_id}", json={"notes": "Seen"})
    shown = office.get(LOGS, params={"limit": 200}).json()["items"]
    _, entries = lines(office)
    assert entries[: len(shown)] == shown[::-1]
    _, some = lines(office, action="ClientAdded")
    assert [it["resource"]["id"] for it in some] == [client_id]
    _, of_field = lines(office, path="profile.notes")
    assert [it["action"] for it in of_field] == ["ClientRevised"]
    _, none = lines(office, q="there is no such text")
    assert none == []


def test_a_table_names_each_link_and_ends_in_the_head(office: Any, client_id: str) -> None:
    """A25-3: CSV with chain proof (RFC 4180)."""
    answer = exported(office, "csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    *entries, last = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    signed = msgspec.json.decode(last["changes"], type=ExportSeal).head
    signed.check()
    assert (last["action"], last["hash"]) == ("(head)", signed.head.chain)
    assert last["seq"] == str(signed.head.position) == entries[-1]["seq"]
    assert entries[-1]["hash"] == signed.head.chain
    for before, after in pairwise(entries):
        assert after["prev_hash"] == before["hash"]
    (added,) = (it for it in entries if it["action"] == "ClientAdded")
    changed = json.loads(added["changes"])
    assert {"path": "profile.name", "old": None, "new": "Acme Corp"} in changed


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_file_that_was_changed_does_not_fit_its_seal(
    office: Any, client_id: str, form: str
) -> None:
    """A25-3, A25-9: checked offline, by the bytes of the file and the public key alone."""
    office.made("/api/clients", {"name": "Two\r\nlines"}, **{"X-Reason": "a, b"})
    content = exported(office, form).content.rstrip(b"\r\n")
    end = b"\r\n" if form == "csv" else b"\n"
    before, _, last = content.rpartition(end)
    before += end
    if form == "csv":
        last = next(csv.reader([last.decode()]))[COLUMNS.index("changes")].encode()
    seal = json.loads(last)
    assert hashlib.sha256(before).hexdigest() == seal["sha256"]
    assert hashlib.sha256(before.replace(b"Acme", b"Acne")).hexdigest() != seal["sha256"]
    head = seal["head"]["head"]
    words = ("zeroinvoice-audit-1", str(seal["entries"]), seal["sha256"], head["chain"])
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal["key"]))
    public.verify(bytes.fromhex(seal["signature"]), "\n".join(words).encode())
    forged = "\n".join((words[0], "1", *words[2:])).encode()
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(seal["signature"]), forged)


def test_no_cell_is_a_formula(office: Any) -> None:
    """A25-3: a name that somebody chose must not be carried out by who opens the file."""
    name = '=HYPERLINK("http://evil.example","Click")'
    office.made("/api/clients", {"name": name}, **{"X-Reason": "@SUM(1+1)", "User-Agent": "-1+1"})
    (entry, _) = rows(office, action="ClientAdded")
    assert entry["resource_label"] == f"'{name}"
    assert entry["reason"] == "'@SUM(1+1)"
    assert entry["user_agent"] == "'-1+1"


@given(st.text())
def test_a_cell_is_safe_and_holds_its_text(text: str) -> None:
    """For any text: none begins like a formula, and what was there is there still."""
    cell = safe(text)
    assert not cell.startswith(FORMULA)
    assert cell.removeprefix("'" if text.startswith(FORMULA) else "") == text


def test_parts_join_without_seam(
    monkeypatch: pytest.MonkeyPatch, office: Any, client_id: str
) -> None:
    """A25-3: streamed part by part; none is lost or told twice where parts meet."""
    for n in range(7):
        office.put(f"/api/clients/{client_id}", json={"notes": f"Note {n}"})
    _, whole = lines(office)
    for part in (1, 2, 3, len(whole) + 1):
        monkeypatch.setattr(projections.audit_export, "PART", part)
        _, entries = lines(office)
        assert [it["seq"] for it in entries[: len(whole)]] == [it["seq"] for it in whole]


def test_a_large_export_is_never_whole_in_memory(
    monkeypatch: pytest.MonkeyPatch, office: Any
) -> None:
    """A25-3: memory is bounded by a part, however long the log is."""
    for n in range(150):
        office.made("/api/clients", {"name": f"Client {n}", "notes": "x" * 9_000})
    monkeypatch.setattr(projections.audit_export, "PART", 5)
    monkeypatch.setattr(zeroinvoice.readside.reader, "PART", 5)
    lines(office)  # what is cached is there from now on
    tracemalloc.start()
    with office.http.stream("GET", LOGS, params={"format": "jsonl"}) as answer:
        size = sum(len(piece) for piece in answer.iter_raw())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 150 * 9_000
    assert peak < size / 2, (peak, size)


def test_an_export_is_on_record_with_what_it_held(office: Any, client_id: str) -> None:
    """A25-8: each one, however often."""
    seal, _ = lines(office, action="ClientAdded")
    lines(office, action="ClientAdded")
    found = office.get(LOGS, params={"action": "AuditLogExported"}).json()["items"]
    assert len(found) == 2
    told = {it["path"]: it["new"] for it in found[-1]["changes"]}
    assert told["form"] == "jsonl"
    assert told["question.actions.0"] == "ClientAdded"
    assert told["upto"] == seal["head"]["head"]["position"]
    assert found[-1]["seq"] > told["upto"]  # recorded before it was handed out, not in it
