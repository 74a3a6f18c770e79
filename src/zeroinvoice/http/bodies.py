"""Request bodies: one decoder for all, so that bad input is a clear 400 and never a 500."""

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from zeroinvoice.kernel.money import Exact, exact
from zeroinvoice.kernel.refusals import BadInput

T = TypeVar("T")

DEEPEST = 32  # levels of nesting
LONGEST_TEXT = 10_000  # characters in one string
MOST_ITEMS = 1_000  # items in one array
MOST_KEYS = 200  # members in one object
LARGEST_INT = 2**63 - 1
LONGEST_NUMBER = 40  # characters
FIRST_YEAR, LAST_YEAR = 1990, 2100  # of any day a business writes down

# A day that may be out of range, or a text in which it could hide.
_ODD_DAY = re.compile(rb'"(?!199\d|20\d\d)\d{4}-\d\d-\d\d|\\u')
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def decoded(body: bytes, kind: type[T]) -> T:
    """The body as a value of `kind`. Raises `BadInput` with a pointer to what is wrong."""
    parsed = parse(body)
    try:
        value = msgspec.convert(parsed, kind, dec_hook=from_text)
    except msgspec.ValidationError as wrong:
        raise explained(wrong) from None
    if _ODD_DAY.search(body):
        _check_days(value, "")
    return value


def parse(body: bytes) -> Any:
    """JSON (RFC 8259) without what programs read differently: duplicate members, NaN,
    exponents, lone surrogates, NUL, numbers or nesting beyond all use. Numbers keep their text.
    """
    if body[:3] == b"\xef\xbb\xbf":
        raise BadInput("The body starts with a byte order mark.")
    if body.count(b"{") + body.count(b"[") > DEEPEST:
        _check_depth(body)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadInput("The body is not UTF-8.") from None
    try:
        parsed = json.loads(
            text,
            object_pairs_hook=_members,
            parse_float=_number,
            parse_int=_whole,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as wrong:
        raise BadInput(f"The body is not JSON: {wrong.msg} at character {wrong.pos}.") from None
    if len(body) > LONGEST_TEXT or b"\\u" in body or b"[" in body:
        _check_texts(parsed, "")
    return parsed


def from_text(kind: type[Any], value: Any) -> Any:
    """Custom types of bodies and queries: exact decimals."""
    if kind is Exact:
        return exact(value)
    raise NotImplementedError(f"no way to read a {kind.__name__}")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadInput(f"The member {twice!r} stands twice in one object.", pointer=f"/{twice}")
    if len(members) > MOST_KEYS:
        raise BadInput(f"An object may have at most {MOST_KEYS} members.")
    return members


def _number(text: str) -> Decimal:
    if "e" in text or "E" in text:
        raise BadInput(f"Write {text[:20]} without an exponent.")
    if len(text) > LONGEST_NUMBER:
        raise BadInput("A number has too many digits.")
    return Decimal(text)


def _whole(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) > LARGEST_INT:
        raise BadInput("A number has too many digits.")
    return number


def _constant(text: str) -> Any:
    raise BadInput(f"{text} is not a number.")


def _check_depth(body: bytes) -> None:
    depth = 0
    for token in _STRUCTURE.findall(body):
        if token in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise BadInput(f"The body nests deeper than {DEEPEST} levels.")
        elif token in b"]}":
            depth -= 1


def _check_texts(value: Any, pointer: str) -> None:
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise BadInput(f"A text may have {LONGEST_TEXT} characters.", pointer=pointer)
        if not value.isascii() or "\x00" in value:
            check_text(value, pointer)
    elif isinstance(value, list):
        if len(value) > MOST_ITEMS:
            raise BadInput(f"A list may have {MOST_ITEMS} items.", pointer=pointer)
        for index, item in enumerate(value):
            _check_texts(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_texts(name, pointer)
            _check_texts(item, f"{pointer}/{name}")


def _check_days(value: Any, pointer: str) -> None:
    if isinstance(value, date) and not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise BadInput(f"Give a day of the years {FIRST_YEAR} to {LAST_YEAR}.", pointer=pointer)
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        for name, member in names:
            _check_days(getattr(value, name), f"{pointer}/{member}")
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            _check_days(item, f"{pointer}/{index}")


def check_text(text: str, pointer: str) -> None:
    """Refuse what Postgres or another reader could not keep: NUL and lone surrogates."""
    if "\x00" in text:
        raise BadInput("A text holds a NUL character.", pointer=pointer)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("A text holds half of a surrogate pair.", pointer=pointer) from None


_PATH = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+|\.\.\.)\]")


def explained(wrong: msgspec.ValidationError) -> BadInput:
    message, _, path = str(wrong).partition(" - at `$")
    steps = (name or ("-" if index == "..." else index) for name, index in _PATH.findall(path))
    pointer = "".join(f"/{step}" for step in steps)
    if "unknown field" in message:
        name = message.rpartition("`")[0].rpartition("`")[2]
        return BadInput(f"There is no field {name!r} here.", pointer=f"{pointer}/{name}")
    if "missing required field" in message:
        name = message.rpartition("`")[0].rpartition("`")[2]
        return BadInput(f"The field {name!r} is missing.", pointer=f"{pointer}/{name}")
    if message.startswith("Invalid enum value"):
        # What was sent is not said again: people put the strangest things into the wrong field.
        return BadInput("This is none of the values that are taken here.", pointer=pointer)
    return BadInput(message.rstrip(".") + ".", pointer=pointer)
