"""Audit exports: entries as a file, handed out bit by bit, with what proves them."""

import csv
import hashlib
import io
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from litestar.response import Stream

from projections.audit import AuditEntry, AuditRow, audit, entries
from projections.audit_question import AuditQuestion
from zeroinvoice.domain.access_day import ExportForm, Question
from zeroinvoice.http.parts import Parts
from zeroinvoice.http.reading import RequestReader
from zeroinvoice.journal.heads import Growing, SignedHead, Signer
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

FORMAT = "zeroinvoice-audit-1"
PART = 200  # entries at a time
TYPES: dict[ExportForm, str] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/jsonl",
}
COLUMNS = (
    "seq", "at", "effective_on", "actor_type", "actor_id", "actor_name", "action", "resource_type",
    "resource_id", "resource_label", "version", "changes", "reason", "request_id",
    "correlation_id", "causation_id", "ip", "user_agent", "prev_hash", "hash",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet might carry out

Form = Literal["json", "csv", "jsonl"]

it = audit.c


class ExportHeading(Value):
    """The first line of JSON lines: what was asked for."""

    format: str
    asked: Question


class ExportSeal(Value):
    """The end of a file: what all before it hashes to, signed; a file without it is not whole.

    The head is that of all entries there were: an export of the whole log ends in its `chain`,
    and each entry names the hash before its own.
    """

    entries: int
    sha256: str  # of every byte before the seal, in hexadecimal
    head: SignedHead
    key: str  # the public key (Ed25519, RFC 8032), that of the head
    signature: str

    @staticmethod
    def text(entries: int, sha256: str, head: SignedHead) -> bytes:
        """The bytes that are signed."""
        return "\n".join((FORMAT, str(entries), sha256, head.head.chain)).encode()


def exported(reader: RequestReader, asked: AuditQuestion, parts: Parts, form: ExportForm) -> Stream:
    """All entries that are asked for, oldest first; on record before the first is handed out."""
    growing = Growing()
    for row in reader.chain():
        growing.add(row[0], row[1], bytes(row[6]))
    signer, upto = Signer(parts.keyring), growing.position
    head = signer.sign(growing.head(reader.tenant, reader.now))
    reader.on_record(lambda day, desk, zone: day.export(form, asked.recorded, upto, desk.now, zone))
    file = Csv() if form == "csv" else JsonLines(asked.recorded)
    lines = _sealed(file, _entries(reader, asked, upto), head, signer)
    name = f"audit-{reader.now:%Y%m%dT%H%M%SZ}.{form}"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(lines, media_type=TYPES[form], headers=disposition)


def _entries(reader: Reader, asked: AuditQuestion, upto: int) -> Iterator[list[AuditEntry]]:
    """The entries up to a position, part by part, so that no more than one is in memory."""
    position = 0
    while True:
        now = reader.anew(min_position=upto)
        rows = asked.rows(now).where(it.position > position, it.position <= upto)
        part = now.views(rows.order_by(it.position).limit(PART), AuditRow)
        yield [entry for entry in entries(now, part) if asked.keeps(entry)]
        if len(part) < PART:
            return
        position = part[-1].position


class JsonLines:
    """A heading, an entry a line, and the seal."""

    def __init__(self, asked: Question) -> None:
        self.heading = msgspec.json.encode(ExportHeading(FORMAT, asked)) + b"\n"

    def part(self, entries: list[AuditEntry]) -> bytes:
        return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)

    def end(self, seal: ExportSeal) -> bytes:
        return msgspec.json.encode(seal) + b"\n"


class Csv:
    """The names of the columns, an entry a row, and a row for the head with the seal in it."""

    def __init__(self) -> None:
        self.heading = _written([COLUMNS])

    def part(self, entries: list[AuditEntry]) -> bytes:
        return _written([_cells(entry) for entry in entries])

    def end(self, seal: ExportSeal) -> bytes:
        head = seal.head.head
        last = dict.fromkeys(COLUMNS, "")
        last |= {"seq": str(head.position), "at": head.at.isoformat(), "action": "(head)"}
        last |= {"changes": msgspec.json.encode(seal).decode(), "hash": head.chain}
        return _written([tuple(last.values())])


def _sealed(
    file: JsonLines | Csv, found: Iterator[list[AuditEntry]], head: SignedHead, signer: Signer
) -> Iterator[bytes]:
    """The file bit by bit, its seal at the end."""
    digest, count = hashlib.sha256(file.heading), 0
    yield file.heading
    for part in found:
        piece = file.part(part)
        digest.update(piece)
        count += len(part)
        yield piece
    sha256 = digest.hexdigest()
    signature = signer.signature(ExportSeal.text(count, sha256, head))
    yield file.end(ExportSeal(count, sha256, head, signer.public, signature))


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    actor, resource = entry.actor, entry.resource
    parts: dict[str, Any] = {
        "at": entry.at.isoformat(),
        "actor_type": actor.type,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "resource_type": resource.type,
        "resource_id": resource.id,
        "resource_label": resource.label,
        "changes": msgspec.json.encode(entry.changes).decode(),
    }
    shown = (parts[name] if name in parts else getattr(entry, name) for name in COLUMNS)
    return tuple(safe("" if value is None else str(value)) for value in shown)


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before such a one."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _written(rows: list[tuple[str, ...]]) -> bytes:
    """Rows as RFC 4180 has them."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
