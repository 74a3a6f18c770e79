"""Limits over HTTP: exact where guessing pays, whichever process is asked, and for nobody else."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import httpx
import psycopg
import pytest

from zeroinvoice.gateways.attempts import FORGET, Attempts
from zeroinvoice.journal.fence import READ_ROLE
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.refusals import Throttled

LOGIN = {"username": "nobody@example.com", "password": "wrong horse battery"}


@pytest.fixture
def strict(open_house: Any, new_database: Any) -> Any:
    """A house that lets 12 guesses a minute, and trusts one proxy."""
    return open_house(new_database(), LIMIT_GUESSES="12", TRUSTED_PROXIES="1")


def tried(url: str, path: str, count: int, address: str = "", **sent: Any) -> list[int]:
    headers = {"X-Forwarded-For": address} if address else {}
    with httpx.Client(base_url=url, headers=headers, timeout=10) as http:
        return [http.post(path, **sent).status_code for _ in range(count)]


def test_attempts_are_counted_exactly_by_all_processes_together(house: Any) -> None:
    """T7: four processes do not let four times as many through."""
    url = conninfo(house.database_url, READ_ROLE, application="limits test")
    seen: Counter[bool] = Counter()
    gate = threading.Barrier(4)

    def process(number: int) -> list[bool]:
        with psycopg.connect(url, autocommit=True) as connection:
            attempts = Attempts(lambda: nullcontext(connection))
            gate.wait(10)
            return [_passes(attempts) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for passed in pool.map(process, range(4)):
            seen.update(passed)
    assert seen[True] == 10


def _passes(attempts: Attempts) -> bool:
    try:
        attempts.take("test", "198.51.100.7", 10)
    except Throttled:
        return False
    return True


def test_guesses_from_one_address_are_turned_away_and_from_another_let_in(strict: Any) -> None:
    """A1-8, T7: with the time to wait; nobody else is locked out."""
    first = tried(strict.url, "/api/auth/login", 14, "198.51.100.1", data=LOGIN)
    assert first.count(429) >= 2
    with httpx.Client(base_url=strict.url, headers={"X-Forwarded-For": "198.51.100.1"}) as http:
        answer = http.post("/api/auth/login", data=LOGIN)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "too_many_attempts"
    assert tried(strict.url, "/api/auth/login", 1, "198.51.100.2", data=LOGIN) == [401]


def test_a_header_that_claims_another_address_changes_nothing(strict: Any) -> None:
    """T8: what stands left of our own proxy's word, anybody may have written."""
    for number in range(12):
        claimed = f"203.0.113.{number}, 198.51.100.9"
        tried(strict.url, "/api/auth/refresh", 1, claimed, json={"refresh_token": "x"})
    claimed = "203.0.113.99, 198.51.100.9"
    told = tried(strict.url, "/api/auth/refresh", 1, claimed, json={"refresh_token": "x"})
    assert told == [429]


def test_without_trusted_proxies_no_such_header_is_looked_at(house: Any) -> None:
    """T8: the address on record is the one that is connected."""
    office = house.office()
    spoofed = {
        "X-Forwarded-For": "203.0.113.5",
        "Forwarded": "for=203.0.113.5;host=evil.example;proto=http",
        "X-Real-IP": "203.0.113.5",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
    }
    made = office.made("/api/clients", {"name": "Acme"}, **spoofed)
    (fact,) = office.facts(made["id"])
    assert fact.origin.ip == "127.0.0.1"


def test_a_workspace_that_asks_too_often_is_turned_away_alone(
    open_house: Any, new_database: Any
) -> None:
    """T7: its own limit; health and other workspaces are answered."""
    house = open_house(new_database(), LIMIT_WORKSPACE="1", API_PROCESSES="1")
    busy, other = house.office(), house.office()
    told = Counter(busy.get("/api/workspace").status_code for _ in range(20))
    assert set(told) == {200, 429}
    assert 10 <= told[200] <= 15
    assert other.get("/api/workspace").status_code == 200
    assert httpx.get(f"{house.url}/api/health").status_code == 200


def test_what_was_counted_is_forgotten_in_time(house: Any) -> None:
    """The table holds the last minute, and no address in clear."""
    api = conninfo(house.database_url, READ_ROLE, application="limits test")
    with psycopg.connect(api, autocommit=True) as connection:
        Attempts(lambda: nullcontext(connection)).take("test", "198.51.100.8", 1_000_000)
    work = conninfo(house.database_url, WORK_ROLE, application="limits test")
    with psycopg.connect(work, autocommit=True) as connection:
        connection.execute("SELECT pg_sleep(0.01)")
        assert connection.execute(FORGET).rowcount >= 1


def test_only_listed_origins_may_ask_and_never_with_cookies(
    open_house: Any, new_database: Any
) -> None:
    """T16: exact; no suffix, no null, no other scheme."""
    house = open_house(new_database(), CORS_ORIGINS="https://app.example.com")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "if-match"}
    allowed = {}
    for origin in (
        "https://app.example.com",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://evil.example",
        "null",
    ):
        answer = httpx.options(f"{house.url}/api/invoices", headers={"Origin": origin, **asked})
        got = httpx.get(f"{house.url}/api/health", headers={"Origin": origin})
        allowed[origin] = (
            answer.headers.get("access-control-allow-origin"),
            got.headers.get("access-control-allow-origin"),
        )
        assert "access-control-allow-credentials" not in answer.headers
    assert allowed.pop("https://app.example.com") == ("https://app.example.com",) * 2
    assert set(allowed.values()) == {(None, None)}


def test_what_describes_the_api_can_be_taken_away(open_house: Any, new_database: Any) -> None:
    """2.2, health and schema: an operator may show neither."""
    house = open_house(new_database(), API_DOCS="off")
    for path in ("/schema/openapi.json", "/schema", "/docs", "/"):
        assert httpx.get(house.url + path).status_code == 404
    for path in ("/api/health", "/reset-password", "/accept-invitation"):
        assert httpx.get(house.url + path).status_code == 200
