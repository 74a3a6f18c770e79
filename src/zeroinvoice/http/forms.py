"""Forms: bodies as a browser's form and `curl -F` send them."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.datastructures import UploadFile

from zeroinvoice.http.bodies import check_text, explained
from zeroinvoice.http.routes import UnsupportedMedia
from zeroinvoice.kernel.refusals import BadInput

T = TypeVar("T")

URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MOST_FIELDS = 50


async def form(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The form as a value of `kind`; fields it does not know are ignored (RFC 6749, 3.2).

    Raises `BadInput` for what is malformed; any other content type is a 415.
    """
    sent, _, _ = request.headers.get("content-type", "").partition(";")
    match sent.strip().lower():
        case "application/x-www-form-urlencoded":
            fields = _url_encoded(await request.body())
        case "multipart/form-data":
            fields = await _multipart(request)
        case _:
            raise UnsupportedMedia(detail=f"Send the body as {URL_ENCODED} or {MULTIPART}.")
    values: dict[str, str] = {}
    for name, value in fields:
        if name in values:
            raise BadInput(f"The field {name!r} is sent twice.", pointer=f"/{name}")
        check_text(value, f"/{name}")
        values[name] = value
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as wrong:
        raise explained(wrong) from None


def _url_encoded(body: bytes) -> list[tuple[str, str]]:
    # Not the framework's parser: it remembers the latest thousand bodies, passwords and all.
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise BadInput("The form is not URL-encoded UTF-8, or is too long.") from None


async def _multipart(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    await request.body()  # kept for whoever reads it next; the stream can be read only once
    try:
        fields = list((await request.form()).multi_items())
    except (LookupError, ValueError):  # a part in no encoding there is
        raise BadInput("The form is not UTF-8.") from None
    if any(isinstance(value, UploadFile) for _, value in fields):
        raise BadInput("This form takes no files.")
    return [(name, str(value)) for name, value in fields]
