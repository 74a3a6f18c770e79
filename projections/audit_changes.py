"""Changes: what one fact altered, field by field, with every secret covered."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from zeroinvoice.kernel.facts import Event, State
from zeroinvoice.kernel.value import Value

COVERED = "•••"
EMPTY: tuple[Any, ...] = (None, [], {})
Seen = dict[int, tuple[Any, Any]]  # by its id, a value and what it is as JSON
TECHNICAL = frozenset({"id", "version", "created_at", "changed_at"})  # the entry says them itself

# A field is covered by the words of its name, so that a new one is covered from its first day.
SECRET_WORDS = frozenset(
    {"password", "secret", "token", "tokens", "hash", "hashes", "digest", "otp", "totp",
     "backup", "pin", "iban", "sealed", "verifier", "key"}
)  # fmt: skip

WORDLESS = frozenset({UUID, Decimal, date, datetime, timedelta, int, bool, float, NoneType})

EFFECTIVE = ("issue_date", "issued_on", "received_on", "applied_on", "refunded_on", "used_on")

LABELS = (  # where a state keeps what people call it; the first that is there
    ("number",),
    ("profile", "name"),
    ("settings", "name"),
    ("full_name",),
    ("name",),
    ("email",),
    ("reference",),
)


class Change(Value):
    """One field's old and new value; null where there was none, or is none any more."""

    path: str  # such as content.lines.0.unit_price
    old: Any
    new: Any


def changes(before: State[Any], after: State[Any]) -> list[Change]:
    """What differs between two states of one stream."""
    old, new = dict(leaves(opened(before))), dict(leaves(opened(after)))
    if before.version == 0:
        old = {}  # what a blank state holds was never there
        new = {path: value for path, value in new.items() if value not in EMPTY}
    return [
        Change(path, shown_value(old.get(path)), shown_value(new.get(path)))
        for path in sorted({*old, *new}, key=_in_order)
        if old.get(path) != new.get(path)
    ]


def event_fields(event: Event) -> list[Change]:
    """What a fact says, for a stream that is too long to be folded for one entry."""
    return [
        Change(path, None, shown_value(value))
        for path, value in leaves(plain(event))
        if value not in EMPTY
    ]


def effective_on(event: Event) -> date | None:
    """The business day that a fact counts for, where it says one."""
    return next((day for name in EFFECTIVE if (day := getattr(event, name, None))), None)


def text_of(event: Event) -> str:
    """The words of a fact as one text to search in; secrets are left out.

    Every fact passes here, so only fields whose type can hold words are looked at.
    """
    words: list[str] = []
    _collect(event, words)
    return "\n".join(words)


def _collect(value: Any, words: list[str]) -> None:
    if isinstance(value, str):
        if value:
            words.append(value)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, words)
    elif isinstance(value, dict):
        for name, item in value.items():
            if SECRET_WORDS.isdisjoint(str(name).lower().split("_")):
                _collect(item, words)
    elif isinstance(value, msgspec.Struct):
        for name in _wordy(type(value)):
            if (item := getattr(value, name)) is not None:
                _collect(item, words)


@cache
def _wordy(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a struct that can hold words and are no secrets."""
    return tuple(
        name
        for name, hint in get_type_hints(kind).items()
        if SECRET_WORDS.isdisjoint(name.lower().split("_")) and _holds_words(hint)
    )


@cache
def _holds_words(hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return any(isinstance(it, str) for it in get_args(hint))
    if parts := get_args(hint):
        return any(_holds_words(it) for it in parts if it is not Ellipsis)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return bool(_wordy(hint))
    return hint not in WORDLESS


def label(state: State[Any]) -> str | None:
    """What people call a thing: its number, or a name."""
    for path in LABELS:
        value: Any = state
        for name in path:
            value = getattr(value, name, None)
        if isinstance(value, str) and value:
            return value
    return None


def plain(value: Any, seen: Seen | None = None) -> Any:
    """A value as JSON would show it, but with unset fields in it and secrets marked.

    What is `seen` already is not made again: states share most of what they hold.
    """
    if seen is None or not isinstance(value, msgspec.Struct):
        return _plain(value, seen)
    known = seen.get(id(value))
    if known is None:
        known = seen[id(value)] = (value, _plain(value, seen))  # kept, so its id stays its own
    return known[1]


def _plain(value: Any, seen: Seen | None) -> Any:
    match value:
        case msgspec.Struct():
            names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
            return {shown: _kept(shown, getattr(value, name), seen) for shown, name in names}
        case Mapping():
            return {str(name): _kept(str(name), item, seen) for name, item in value.items()}
        case list() | tuple():
            return [plain(item, seen) for item in value]
        case set() | frozenset():
            return sorted((plain(item, seen) for item in value), key=str)
        case Enum():
            return value.value
        case Decimal():
            return f"{value:f}"
        case UUID() | date() | timedelta():
            return msgspec.to_builtins(value)
        case _:
            return value


class Secret(Value):
    """What must not be shown; two of them can still be told apart."""

    of: Any


def _kept(name: str, value: Any, seen: Seen | None) -> Any:
    secret = not SECRET_WORDS.isdisjoint(name.lower().split("_"))
    shown = plain(value, seen)
    return Secret(shown) if secret and value not in EMPTY else shown


def shown_value(value: Any) -> Any:
    return COVERED if isinstance(value, Secret) else value


def opened(state: State[Any], seen: Seen | None = None) -> dict[str, Any]:
    """What a state holds, but for what every entry says of itself."""
    fields: dict[str, Any] = plain(state, seen)
    return {name: value for name, value in fields.items() if name not in TECHNICAL}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value in a nested one, with the way to it; an empty container is a value."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    if not inner or not value:
        yield path, value
        return
    for name, item in inner:
        yield from leaves(item, f"{path}.{name}" if path else str(name))


def _in_order(path: str) -> list[tuple[int, str]]:
    return [(int(step), "") if step.isdecimal() else (-1, step) for step in path.split(".")]
