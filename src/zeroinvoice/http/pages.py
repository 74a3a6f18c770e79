"""The pages a person opens: what this is, the API to read offline, and where letters lead to."""

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

_KINDS = {"html": MediaType.HTML.value, "css": "text/css", "js": "text/javascript"}


@litestar.get("/", include_in_schema=False, sync_to_thread=False)
def home() -> Response[bytes]:
    return Response(_HOME, media_type=MediaType.HTML)


def _page(folder: str, name: str) -> Response[bytes]:
    content = files("zeroinvoice.http").joinpath(folder, name).read_bytes()
    return Response(content, media_type=_KINDS[name.rpartition(".")[2]])


@litestar.get("/docs", include_in_schema=False, sync_to_thread=False)
def docs() -> Response[bytes]:
    return _page("docs", "index.html")


@litestar.get("/docs/page.css", include_in_schema=False, sync_to_thread=False)
def style() -> Response[bytes]:
    return _page("docs", "page.css")


@litestar.get("/docs/page.js", include_in_schema=False, sync_to_thread=False)
def script() -> Response[bytes]:
    return _page("docs", "page.js")


@litestar.get("/reset-password", include_in_schema=False, sync_to_thread=False)
def reset_password() -> Response[bytes]:
    return _page("letters", "reset-password.html")


@litestar.get("/accept-invitation", include_in_schema=False, sync_to_thread=False)
def accept_invitation() -> Response[bytes]:
    return _page("letters", "accept-invitation.html")


@litestar.get("/letters.js", include_in_schema=False, sync_to_thread=False)
def letters() -> Response[bytes]:
    return _page("letters", "letters.js")


routes = [reset_password, accept_invitation, letters, style]
described = [home, docs, script]  # only where the API describes itself
