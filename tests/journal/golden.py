"""Golden facts: for every class of event, examples in the very bytes they are stored as.

    python tests/journal/golden.py [FILE [SEALED]]

Adds lines to `golden/events.jsonl` for the classes that have none yet, and to `golden/sealed.jsonl`
for those that speak of a person: what is stored of them, and opens with the key below; and to
`golden/shapes.json` what fields they have; each version of a class by itself. What stands there is
never written again: it says what lies in the journals of others, which every later version of the
program must read.
"""

import json
import sys
import typing
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID, uuid5

import msgspec

from zeroinvoice.domain import EVENTS
from zeroinvoice.gateways.sealing import DataKey
from zeroinvoice.journal.application import Journal
from zeroinvoice.kernel.facts import Event, Fact, Origin, Personal, topic_of

FILE = Path(__file__).parent / "golden" / "events.jsonl"
SEALED = FILE.with_name("sealed.jsonl")
SHAPES = FILE.with_name("shapes.json")
NAMESPACE = UUID("6f1b0c9e-6f0b-4c8f-9a53-0f5d2c7b9a11")
SUBJECT = UUID("0c7f3e52-8f0d-4a44-9d3e-52b6f0a6c7d1")
AT = datetime(2026, 3, 1, 9, 30, 15, 123456, tzinfo=UTC)

TEXTS = {
    "agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "address_lines": "1 Elm St",
    "bucket": "2026",
    "city": "København",
    "code": "VAT20",
    "country": "DK",
    "currency": "EUR",
    "default_terms": "net 14",
    "description": "API integration",
    "email": "billing@acme.example",
    "form": "INV-2026-{SEQ}",
    "fx_currency": "USD",
    "fx_source": "ECB",
    "ip": "203.0.113.7",
    "language": "de",
    "legal_name": "Nordlicht GmbH & Co. KG",
    "locale": "de-DE",
    "name": "Søren “Acme” \\ Co",
    "notes": "First line\nSecond line",
    "number": "INV-2026-00042",
    "password_hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
    "pattern": "R{YYYY}-{SEQ:4}",
    "payment_terms": "2% 10 net 30",
    "phone": "33 12 34 56",
    "phone_e164": "+4533123456",
    "postal_code": "1058",
    "reason": "Asked for by telephone",
    "series": "A",
    "tax_id": "DK12345678",
    "time_zone": "Europe/Berlin",
    "timezone": "Europe/Copenhagen",
}
NUMBERS = {"fiscal_year_start": 4, "sequence": 42, "grace_days": 5, "roundings": 2}
AMOUNTS = {"rate": "19.5", "value": "12.50", "quantity": "2.500", "fx_rate": "1.083400"}
NEGATIVE = ("withheld", "rounding_adjustment")


def examples(event: type[Event]) -> list[Event]:
    """One event with every field filled, and more of them where a field has a choice of words."""
    made = [example(event, choice=choice) for choice in range(_choices(event))]
    return [it for n, it in enumerate(made) if it not in made[:n]]


def example(kind: Any, name: str = "", default: Any = msgspec.NODEFAULT, choice: int = 0) -> Any:
    """A value of a type that is not its field's default, so that a field left out is missed."""
    inner = get_args(kind)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return example(next(it for it in inner if it is not type(None)), name, default, choice)
    if origin is Literal:
        others = [it for it in inner if it != default] or list(inner)
        return others[choice % len(others)]
    if origin is tuple:
        parts = inner[:1] if inner[1:] == (Ellipsis,) else inner
        return tuple(example(part, name, choice=choice) for part in parts)
    if origin is dict:
        key = "invoice" if name == "numbers" else "EUR" if "currency" in name else "segment"
        return {key: example(inner[1], name, choice=choice)}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        fields = {
            it.name: example(hints[it.name], it.name, it.default, choice)
            for it in msgspec.structs.fields(kind)
        }
        return kind(**fields)
    return _plain(kind, name, default)


def _plain(kind: Any, name: str, default: Any) -> Any:
    match kind:
        case _ if kind is Any:
            return {"size": 3, "share": "0.25", "parts": [True, None, "ä"]}
        case _ if kind is bool:
            return default is False or default is msgspec.NODEFAULT
        case _ if kind is int:
            return NUMBERS.get(name, 7)
        case _ if kind is str:
            return TEXTS.get(name, name.replace("_", " ") or "text")
        case _ if kind is Decimal:
            return Decimal(AMOUNTS.get(name, "-0.50" if name in NEGATIVE else "1234.50"))
        case _ if kind is UUID:
            return uuid5(NAMESPACE, name)
        case _ if kind is datetime:
            return AT + timedelta(hours=1)
        case _ if kind is date:
            return date(2026, 3, 31) if "due" in name or name == "end" else date(2026, 3, 1)
        case _:
            raise TypeError(f"No example of {kind} is known; teach `_plain`.")


def _choices(kind: Any) -> int:
    """The most words that any one field below has to choose from."""
    if get_origin(kind) is Literal:
        return len(get_args(kind))
    below: Iterable[Any] = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        below = typing.get_type_hints(kind).values()
    return max((_choices(it) for it in below), default=1)


def line(event: Event, choice: int = 0) -> str:
    """The stored form of an event, as a line of the file: its topic, and its state as text."""
    origin = example(Origin, choice=choice)
    fact = Fact(event, NAMESPACE, NAMESPACE, 1, 1, AT, origin)
    state = Journal().facts_mapper.state_of(fact).decode()
    return json.dumps({"topic": topic_of(type(event)), "state": state}, ensure_ascii=False)


def sealed_line(event: Personal) -> str:
    """The stored form of an event about somebody, sealed with `key`."""
    fact = Fact(event, NAMESPACE, NAMESPACE, 1, 1, AT, example(Origin), SUBJECT)
    state = Journal().facts_mapper.sealed_state_of(fact, event.redacted(), key()).decode()
    return json.dumps({"topic": topic_of(type(event)), "state": state}, ensure_ascii=False)


def key() -> DataKey:
    """The subject's key of every sealed line."""
    return DataKey(SUBJECT, bytes(range(32)))


def add_sealed(path: Path, events: Iterable[type[Event]] = EVENTS) -> list[str]:
    """Append a sealed example of the classes about persons that have none; answers their names."""
    known = _topics(path)
    new = [it for it in events if issubclass(it, Personal) and topic_of(it) not in known]
    with path.open("a") as file:
        for event in sorted(new, key=lambda it: it.__name__):
            file.write(sealed_line(example(event)) + "\n")
    return [event.__name__ for event in new]


def _topics(path: Path) -> set[str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {json.loads(it)["topic"] for it in lines}


def add_missing(path: Path, events: Iterable[type[Event]] = EVENTS) -> list[str]:
    """Append examples of the classes without a line; answers their names."""
    known = _topics(path)
    new = [event for event in events if topic_of(event) not in known]
    with path.open("a") as file:
        for event in sorted(new, key=lambda it: it.__name__):
            for choice, made in enumerate(examples(event)):
                file.write(line(made, choice) + "\n")
    return [event.__name__ for event in new]


def shape(kind: Any) -> Any:
    """A type as text, a struct as its fields, with `?` after those that may be left out.

    A word that is one of several is a text: one more of them changes nothing that was stored.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "str"
    if origin in (Union, UnionType):
        return " | ".join(sorted(_told(shape(it)) for it in inner))
    if origin is not None:
        parts = ["..." if it is Ellipsis else _told(shape(it)) for it in inner]
        return f"{origin.__name__}[{', '.join(parts)}]"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return {
            f"{it.encode_name}{'' if it.required else '?'}": shape(hints[it.name])
            for it in msgspec.structs.fields(kind)
        }
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))


def _told(found: Any) -> str:
    return found if isinstance(found, str) else json.dumps(found)


def add_shapes(path: Path, events: Iterable[type[Event]] = EVENTS) -> None:
    """Write down the fields of classes, or of versions of them, of which none are yet."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for event in events:
        known.setdefault(topic_of(event), shape(event))
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    lines = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    added = add_missing(lines)
    add_shapes(lines.with_name(SHAPES.name))
    add_sealed(Path(sys.argv[2]) if len(sys.argv) > 2 else SEALED)
    print(f"{len(added)} classes of events got their golden lines: {', '.join(added) or 'none'}")
