"""Custom fields: what a user hangs on a record beside the fields it has."""

from decimal import Decimal
from typing import Any

import msgspec

from zeroinvoice.kernel.refusals import Invalid

MOST_FIELDS = 50
LONGEST_NAME = 64  # characters
LARGEST_VALUE = 10_000  # bytes of JSON


def kept(custom: dict[str, Any]) -> dict[str, Any]:
    """Custom fields as they are kept: numbers with decimals as their text, digit for digit.

    Raises `Invalid` `bad_custom` for too many, a long name or a large value.
    """
    if len(custom) > MOST_FIELDS:
        raise Invalid(f"There are at most {MOST_FIELDS} custom fields.", code="bad_custom")
    for name, value in custom.items():
        if not 1 <= len(name) <= LONGEST_NAME:
            raise Invalid(
                f"The name of a custom field has 1 to {LONGEST_NAME} characters.", code="bad_custom"
            )
        if len(msgspec.json.encode(value)) > LARGEST_VALUE:
            raise Invalid(
                f"The custom field {name!r} is larger than {LARGEST_VALUE} bytes.",
                code="bad_custom",
                field=name,
            )
    return {name: _plain(value) for name, value in custom.items()}


def _plain(value: Any) -> Any:
    # A journal read again gives text where the request held a Decimal; so it is text at once.
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return [_plain(it) for it in value]
    if isinstance(value, dict):
        return {name: _plain(it) for name, it in value.items()}
    return value
