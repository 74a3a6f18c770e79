"""The pages a person opens: what this is, and the API's description to read offline."""

from importlib.resources import files

import litestar
from litestar import MediaType, Response

_HOME = b"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>ZeroInvoice</title>
<link rel="stylesheet" href="/docs/page.css"><main class="home"><h1>ZeroInvoice</h1>
<p>An invoice service whose only truth is an append-only journal of business facts.</p>
<p><a href="/docs">The API, to read</a> &middot;
<a href="/schema/openapi.json">The API, for programs</a> &middot;
<a href="/api/health">Health</a></p></main></html>"""

_FILES = {
    "index.html": MediaType.HTML.value,
    "page.css": "text/css",
    "page.js": "text/javascript",
}


@litestar.get("/", include_in_schema=False, sync_to_thread=False)
def home() -> Response[bytes]:
    return Response(_HOME, media_type=MediaType.HTML)


def _page(name: str) -> Response[bytes]:
    content = files("zeroinvoice.http").joinpath("docs", name).read_bytes()
    return Response(content, media_type=_FILES[name])


@litestar.get("/docs", include_in_schema=False, sync_to_thread=False)
def docs() -> Response[bytes]:
    return _page("index.html")


@litestar.get("/docs/page.css", include_in_schema=False, sync_to_thread=False)
def style() -> Response[bytes]:
    return _page("page.css")


@litestar.get("/docs/page.js", include_in_schema=False, sync_to_thread=False)
def script() -> Response[bytes]:
    return _page("page.js")


routes = [home, docs, style, script]
