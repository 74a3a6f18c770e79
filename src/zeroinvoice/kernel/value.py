"""Values: immutable records, compared by what they hold."""

from typing import Any, Self

import msgspec
from typing_extensions import dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _Frozen(msgspec.StructMeta):
    # `frozen=True` is inherited when the program runs, but a type checker wants to be told.
    def __new__(
        mcls, name: str, bases: tuple[type, ...], body: dict[str, Any], **config: Any
    ) -> Any:
        return super().__new__(mcls, name, bases, body, **{"frozen": True, **config})


class Value(msgspec.Struct, metaclass=_Frozen):
    """What events, states, request bodies and views are made of."""

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)
