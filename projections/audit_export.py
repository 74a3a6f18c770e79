"""Audit exports: entries as a file, handed out bit by bit, with what proves them."""

import csv
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
    """The first line of JSON lines: what was asked for, and the head that the entries lead to.

    An export of the whole log ends in `head.head.chain`, and each entry names the hash before.
    """

    format: str
    asked: Question
    head: SignedHead


class ExportEnd(Value):
    """The last line: a file without it is not whole."""

    entries: int


def exported(reader: RequestReader, asked: AuditQuestion, parts: Parts, form: ExportForm) -> Stream:
    """All entries that are asked for, oldest first; on record before the first is handed out."""
    growing = Growing()
    for row in reader.chain():
        growing.add(row[0], row[1], bytes(row[6]))
    head = Signer(parts.keyring).sign(growing.head(reader.tenant, reader.now))
    upto = growing.position
    reader.on_record(lambda day, desk, zone: day.export(form, asked.recorded, upto, desk.now, zone))
    found = _entries(reader, asked, upto)
    lines = _csv(found, head) if form == "csv" else _jsonl(found, asked, head)
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


def _jsonl(
    found: Iterator[list[AuditEntry]], asked: AuditQuestion, head: SignedHead
) -> Iterator[bytes]:
    encode, count = msgspec.json.encode, 0
    yield encode(ExportHeading(FORMAT, asked.recorded, head)) + b"\n"
    for part in found:
        count += len(part)
        yield b"".join(encode(entry) + b"\n" for entry in part)
    yield encode(ExportEnd(count)) + b"\n"


def _csv(found: Iterator[list[AuditEntry]], head: SignedHead) -> Iterator[bytes]:
    """The last row is the head itself, `changes` its signed form; a file without is not whole."""
    yield _written([COLUMNS])
    for part in found:
        yield _written([_cells(entry) for entry in part])
    last = dict.fromkeys(COLUMNS, "")
    signed = head.head
    last |= {"seq": str(signed.position), "at": signed.at.isoformat(), "action": "(head)"}
    last |= {"changes": msgspec.json.encode(head).decode(), "hash": signed.chain}
    yield _written([tuple(last.values())])


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
