"""Every read says whether it can be asked for an instant: what is single can, and reports can."""

from inspect import signature
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from zeroinvoice.app import create_app
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.value import Value
from zeroinvoice.settings import Settings

OF_NOW = {  # what is neither a list in parts nor of a workspace, and of now all the same
    "GET /api/clients/search": "likeness to a text is looked up in what stands now",
    "GET /api/invoices/search": "likewise",
    "GET /api/activity": "a feed goes by positions",
    "GET /api/activity/ws-stats": "connections are of now",
    "GET /api/audit/proofs/head": "a proof goes by the size of the journal",
    "GET /api/audit/proofs/inclusion": "likewise",
    "GET /api/audit/proofs/growth": "likewise",
    "GET /api/audit/compliance-report": "it signs how things stand, for a period",
}


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = Settings.from_env({"ZEROINVOICE_DATA": str(tmp_path_factory.mktemp("data"))})
    edge = create_app(settings, "postgresql://nowhere/nothing")
    return {
        f"{method} {route.path_format}": handler
        for route in edge._app.routes  # type: ignore[attr-defined]  # inside its edge
        if isinstance(route, HTTPRoute) and route.path.startswith("/api")
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    }


def test_single_resources_and_reports_can_be_had_of_an_instant(handlers: dict[str, Any]) -> None:
    """R-CMD-8: only lists in parts are of now alone, and each of these refuses `as_of`."""
    reads = {row: handler for row, handler in handlers.items() if row.startswith("GET ")}
    assert len(reads) > 30
    of_now = set()
    for row, handler in reads.items():
        function = getattr(handler.fn, "func", handler.fn)  # Litestar wraps a plain one
        taken = signature(function).parameters
        if handler.opt["as_of"] == "never" and "reader" in taken and "listing" not in taken:
            of_now.add(row)
    assert of_now == set(OF_NOW)


def test_an_operation_that_takes_an_instant_describes_it(handlers: dict[str, Any]) -> None:
    """And one that refuses it does not."""
    for row, handler in handlers.items():
        if row.startswith("GET "):
            names = [it.name for it in handler.operation_class().parameters or ()]
            assert names == ([] if handler.opt["as_of"] == "never" else ["as_of"]), row


def test_a_list_is_of_now_unless_it_says_otherwise() -> None:
    """A new route that says nothing cannot overlook an instant."""

    def browse(reader: Reading, listing: Value) -> None:
        """List."""

    def show(reader: Reading) -> None:
        """Show."""

    assert get("/things", may="clients:read")(browse).opt["as_of"] == "never"
    assert get("/things", may="clients:read", as_of="instant")(browse).opt["as_of"] == "instant"
    assert get("/thing", may="clients:read")(show).opt["as_of"] == "instant"
