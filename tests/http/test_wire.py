"""What comes over the wire before any handler: smuggled requests, other methods, odd headers."""

import io
import json
import socket
from typing import Any

import httpx
import pytest
import structlog

from zeroinvoice import logs
from zeroinvoice.http.edge import SECURITY


def sent(house: Any, request: bytes) -> bytes:
    """What is answered to some bytes, until the connection is closed or falls silent."""
    with socket.create_connection(("127.0.0.1", house.settings.port), timeout=5) as wire:
        wire.sendall(request)
        wire.settimeout(1.0)
        answer = b""
        try:
            while part := wire.recv(65_536):
                answer += part
        except TimeoutError:
            pass
        return answer


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n",
        b"Content-Length : 4\r\n",
    ],
)
def test_no_second_request_is_smuggled_in(house: Any, head: bytes) -> None:
    """T34: two lengths, or none that is one, are refused; what follows is never answered."""
    body = b"0\r\n\r\nGET /api/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = sent(house, b"POST /api/auth/refresh HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert answer.count(b"HTTP/1.1 ") <= 1 or b"HTTP/1.1 200" not in answer, answer


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"BREW"])
def test_methods_that_nobody_needs_are_refused(house: Any, method: bytes) -> None:
    """T34: no TRACE, which would show a token to whoever asks for it."""
    secret = b"Authorization: Bearer canary-of-a-token\r\n"
    answer = sent(house, method + b" /api/invoices HTTP/1.1\r\nHost: x\r\n" + secret + b"\r\n")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 405")), answer[:200]
    assert b"canary" not in answer


def test_no_header_can_change_what_method_a_request_is(house: Any, office: Any) -> None:
    """T15: `_method` and its like are not looked at."""
    client = office.made("/api/clients", {"name": "Acme"})
    path = f"/api/clients/{client['id']}"
    for headers in ({"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "DELETE"}):
        assert office.get(path, headers=headers).status_code == 200
    assert office.get(f"{path}?_method=DELETE").status_code == 200
    assert len(office.facts(client["id"])) == 1


def test_every_refusal_has_its_security_headers(house: Any, office: Any) -> None:
    """T33: also what never reached a handler."""
    answers = [
        httpx.get(f"{house.url}/api/nowhere"),
        httpx.get(f"{house.url}/api/invoices"),
        httpx.delete(f"{house.url}/api/invoices"),
        office.post("/api/invoices", content=b"{", headers={"Content-Type": "application/json"}),
        office.post("/api/invoices", content=b"{}", headers={"Content-Type": "text/plain"}),
        office.post("/api/clients", json={"name": "x" * 1_100_000}),
    ]
    assert [it.status_code for it in answers] == [404, 401, 405, 400, 415, 413]
    for answer in answers:
        for name, value in SECURITY:
            assert answer.headers[name.decode()] == value.decode()
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_a_client_calls_itself_stays_one_line(house: Any, office: Any) -> None:
    """T26: neither a header of ours nor a line of the log can be forged, nor swollen."""
    forged = "curl\x1b[31m\r\nX: y"
    raw = "GET /api/invoices HTTP/1.1\r\nHost: x\r\nUser-Agent: curl\x1b[31m\r\n\r\n"
    assert sent(house, raw.encode()).startswith(b"HTTP/1.1 400")
    agent = {"User-Agent": "x" * 60_000}
    client = office.made("/api/clients", {"name": "a\r\nSet-Cookie: b=c"}, **agent)
    (fact,) = office.facts(client["id"])
    assert len(fact.origin.agent or "") == 200
    answer = office.get(f"/api/clients/{client['id']}")
    assert "set-cookie" not in answer.headers
    stream = io.StringIO()
    logs.configure("info", to=stream)
    try:
        structlog.get_logger().info("told", agent=forged, name=client["name"])
    finally:
        logs.configure("info")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["name"] == client["name"]


def flat(count: int) -> bytes:
    return b"{" + b",".join(b'"k%d":1' % n for n in range(count)) + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"name":' * 1_000 + b"1" + b"}" * 1_000,
        flat(50_000),
        b'{"name":' + b"9" * 4_301 + b"}",
        b'{"name":1e999999}',
        b'{"name":"' + b"\\u0000" * 10 + b'"}',
        b'{"name":"' + b"x" * 20_000 + b'"}',
        b'{"name":["' + b'","'.join([b"x"] * 2_000) + b'"]}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_a_body_made_to_cost_is_refused_soon(office: Any, body: bytes) -> None:
    """T35: deep, wide, long, or not what it says; in no time, and nothing is recorded."""
    answer = office.post("/api/clients", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 413, 422), answer.text[:200]
    assert answer.elapsed.total_seconds() < 2.0  # generous where others use the machine
    assert office.get("/api/clients").json()["items"] == []
