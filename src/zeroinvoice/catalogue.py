"""The catalogue of events: every class a fact may hold, from the classes themselves."""

import inspect
import typing
from typing import Any

import msgspec

from zeroinvoice.domain import KINDS
from zeroinvoice.kernel.facts import Event, events_of

_HEAD = """# Events

Every fact in the journal holds one of these. The class name is what is stored; it is never
renamed or reused. Who recorded a fact, when, and in which request stand beside it.
This file is written by `zeroinvoice events` (`make events`).
"""


def catalogue() -> str:
    """Markdown: each kind of stream with its events, their fields and types."""
    parts = [_HEAD]
    for name, kind in sorted(KINDS.items()):
        parts.append(f"\n## {name.replace('_', ' ')}\n")
        parts.extend(_event(event) for event in events_of(kind))
    return "".join(parts)


def _event(event: type[Event]) -> str:
    own = event.__dict__.get("__doc__")
    says = f" {' '.join(inspect.cleandoc(own).split())}" if own else ""
    hints = typing.get_type_hints(event)
    fields = {it.name: hints[it.name] for it in msgspec.structs.fields(event)}
    rows = [f"  - `{name}`: {_shown(kind)}\n" for name, kind in fields.items()]
    return f"\n- **{event.__name__}**{':' if says else ''}{says}\n{''.join(rows)}"


def _shown(kind: Any) -> str:
    if isinstance(kind, type) and not typing.get_args(kind):
        return f"`{kind.__name__}`"
    text = str(kind).replace("typing.", "")
    parts = [piece.rpartition(".")[2] for piece in text.replace("[", " [ ").split(" ")]
    return f"`{' '.join(parts).replace(' [ ', '[').replace(' |', ' |')}`"
