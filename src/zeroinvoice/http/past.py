"""The past: which routes can be asked what they showed at an instant, and how the rest decline."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from zeroinvoice.kernel.refusals import BadInput

AsOf = Literal["never", "instant", "day"]  # day: a day will do as well as an instant
AS_OF = "as_of"  # the option of a route, and the query parameter


async def kept_to_now(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Refuse to answer for an instant what is only known of now, rather than overlook it.

    Async, though it awaits nothing: a plain function would queue for a thread of the readers.
    """
    if handler.opt.get(AS_OF, "never") == "never" and AS_OF in connection.query_params:
        raise BadInput(
            "This is of now and takes no as_of; single resources and reports do.",
            pointer="?as_of",
            code="as_of_not_supported",
        )


@dataclass
class _OfNow(Operation):
    """An operation as it is described, with the media types of files that it also hands out."""

    files: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        answer = (self.responses or {}).get("200")
        if self.files and isinstance(answer, OpenAPIResponse):
            text = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            answer.content = {**(answer.content or {}), **dict.fromkeys(self.files, text)}


@dataclass
class _OfInstants(_OfNow):
    """An operation whose description names `as_of`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        instant = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
        told = "the instant whose knowledge is asked for, such as 2026-03-31T23:59:59Z"
        self._add(instant, told)

    def _add(self, schema: Schema, told: str) -> None:
        parameter = Parameter(name=AS_OF, param_in="query", schema=schema, description=told)
        self.parameters = [*(self.parameters or ()), parameter]


@dataclass
class _OfDays(_OfInstants):
    def __post_init__(self) -> None:
        _OfNow.__post_init__(self)
        day = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE)
        instant = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
        told = (
            "an instant: what was known then; or a day, which is the same as `date`: "
            "what is known now of the end of that day"
        )
        self._add(Schema(any_of=[instant, day]), told)


_OPERATIONS: dict[AsOf, type[Operation]] = {
    "never": _OfNow,
    "instant": _OfInstants,
    "day": _OfDays,
}


def operation(past: AsOf, files: tuple[str, ...] = ()) -> type[Operation]:
    """How an operation is described that answers for such a past, and also with files of types."""
    base = _OPERATIONS[past]
    return type(base.__name__, (base,), {"files": files}) if files else base
