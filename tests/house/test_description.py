"""The API's description and the page that shows it: whole, unique, and quite offline."""

import asyncio
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from zeroinvoice.app import create_app
from zeroinvoice.http.schema import EXAMPLES
from zeroinvoice.settings import Settings

METHODS = {"get", "post", "put", "patch", "delete"}
ELSEWHERE = re.compile(
    r"https?://(?!localhost|127\.0\.0\.1)[^\s\"'<>)]+|[\"'(]//[a-z]", re.IGNORECASE
)


LETTERS = ("/reset-password", "/accept-invitation")  # where the links of letters lead


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The whole application; its database is never asked."""
    settings = Settings.from_env({"ZEROINVOICE_DATA": str(tmp_path_factory.mktemp("data"))})
    return create_app(settings, "postgresql://nobody@127.0.0.1:1/none")


def got(app: Any, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get(path)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def description(app: Any) -> dict[str, Any]:
    answer = got(app, "/schema/openapi.json")
    assert answer.status_code == 200, answer.text
    parsed: dict[str, Any] = answer.json()
    return parsed


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, item[method])
        for path, item in description["paths"].items()
        for method in METHODS & item.keys()
    ]


def test_every_route_is_described(app: Any, description: dict[str, Any]) -> None:
    """Nothing is served under /api that its description does not tell."""
    served = {
        (re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path), method.lower())
        for route in app._app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith(("/api", "/public"))
        for method in set(route.methods) - {"OPTIONS", "HEAD"}
    }
    assert served
    assert served == {(path, method) for path, method, _ in operations(description)}


def test_every_operation_has_a_name_a_heading_and_its_errors(description: dict[str, Any]) -> None:
    """Ids are `area.verb` and unique; problems are documented as such (RFC 9457)."""
    found = operations(description)
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(ids) == len(set(ids))
    for path, method, operation in found:
        where = f"{method} {path}"
        assert re.fullmatch(r"[a-z_0-9]+\.[a-z_0-9]+", operation["operationId"]), where
        assert len(operation["tags"]) == 1, where
        assert operation["summary"].strip(), where
        assert operation["security"] in (
            [{"bearer": []}, {"api_key": []}],
            [{"bearer": []}],
            [{}],
        ), where
        assert not operation["summary"].endswith("."), where
        for status, answer in operation["responses"].items():
            for kind in answer.get("content", {}):
                if int(status) >= 400 and kind != "application/json":
                    assert kind == "application/problem+json", where
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_an_answer_without_a_body_is_described_without_one(description: dict[str, Any]) -> None:
    """RFC 9110 15.3.5: 204 never has content, so no type of it can be promised."""
    empty = [
        it["responses"]["204"] for *_, it in operations(description) if "204" in it["responses"]
    ]
    assert len(empty) > 5
    assert not any("content" in answer for answer in empty)


def test_decimals_are_taken_as_text_and_as_numbers(description: dict[str, Any]) -> None:
    """R-MON-1."""
    price = description["components"]["schemas"]["LineWritten"]["properties"]["unit_price"]
    assert set(price["type"]) == {"string", "number"}


def test_examples_belong_to_operations(description: dict[str, Any]) -> None:
    bodies = {
        operation["operationId"]: operation["requestBody"]["content"]
        for _, _, operation in operations(description)
        if "requestBody" in operation
    }
    for name, example in EXAMPLES.items():
        assert bodies[name]["application/json"]["example"] == example


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    for target in re.findall(r'"\$ref":\s*"([^"]+)"', json.dumps(description)):
        node: Any = description
        for step in target.removeprefix("#/").split("/"):
            node = node[step]


def test_the_page_and_the_description_name_no_other_server(app: Any) -> None:
    """Design 6: the docs work offline, so nothing in them may point elsewhere."""
    pages = ("/", "/docs", "/docs/page.css", "/docs/page.js", "/schema/openapi.json")
    for path in (*pages, *LETTERS, "/letters.js"):
        answer = got(app, path)
        assert answer.status_code == 200, path
        assert not ELSEWHERE.findall(answer.text), path


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[str] = []
        self.ids: set[str] = set()
        self.fields: set[str] = set()
        self.sent_to = ""
        self.inline: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.wanted += [given[name] or "" for name in ("src", "href") if name in given]
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.fields |= {given["name"] or ""} if tag == "input" and "name" in given else set()
        self.sent_to = given.get("data-path") or self.sent_to
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style") and data.strip():
            self.inline.append(self._open)


@pytest.mark.parametrize(
    ("path", "script"),
    [("/docs", "/docs/page.js"), *((path, "/letters.js") for path in LETTERS)],
)
def test_a_page_keeps_to_its_own_policy(app: Any, path: str, script: str) -> None:
    """CSP: scripts and styles are files of ours, and nothing stands in the page itself."""
    answer = got(app, path)
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = _Page()
    page.feed(answer.text)
    assert page.inline == []
    for address in page.wanted:
        if address.startswith("/"):
            assert got(app, address).status_code == 200, address
        else:
            assert address.startswith(("#", "data:,")), address
    assert script in page.wanted
    text = got(app, script).text
    assert set(re.findall(r'getElementById\("([a-z]+)"\)', text)) <= page.ids
    for forbidden in ("innerHTML", "outerHTML", "document.write", "eval(", "localStorage",
                      "sessionStorage", "document.cookie"):  # fmt: skip
        assert forbidden not in text, forbidden


@pytest.mark.parametrize("path", LETTERS)
def test_what_a_letter_leads_to_asks_for_what_the_api_wants(
    app: Any, description: dict[str, Any], path: str
) -> None:
    """The link's token, and nothing but the fields of the one operation."""
    page = _Page()
    page.feed(got(app, path).text)
    wanted = description["paths"][page.sent_to]["post"]["requestBody"]["content"]
    name = wanted["application/json"]["schema"]["$ref"].rpartition("/")[2]
    fields = set(description["components"]["schemas"][name]["properties"])
    assert page.fields | {"token"} == fields
    script = got(app, "/letters.js").text
    assert f'"{page.sent_to}"' in script
    assert "location.hash" in script


def test_the_page_is_part_of_the_package() -> None:
    """The wheel is made of `src/zeroinvoice`, so what lies there is shipped."""
    folder = files("zeroinvoice.http").joinpath("docs")
    names = {it.name for it in folder.iterdir()}
    assert {"index.html", "page.css", "page.js"} <= names
    assert (Path(str(folder)) / "page.js").stat().st_size < 40_000
