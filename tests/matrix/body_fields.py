"""Bodies: what the types of a route say of the fields that are sent and answered."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec


def structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """The structs that a type speaks of: itself, or those within an answer or a choice."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        return
    for part in get_args(kind):
        yield from structs(part)


def names(kind: Any) -> set[str]:
    """The fields of a type as JSON has them."""
    return {name for it in structs(kind) for name in it.__struct_encode_fields__}


def id_fields(kind: Any, path: str = "") -> Iterator[str]:
    """Where a body names something by its id, such as `allocations.invoice_id`."""
    if kind is UUID:
        yield path
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, hint in get_type_hints(kind).items():
            yield from id_fields(hint, f"{path}.{name}" if path else name)
    elif get_origin(kind) in (Union, UnionType, tuple, list, dict):
        for part in get_args(kind):
            yield from id_fields(part, path)
