"""Access over HTTP: registered, logged in, renewed, logged out; and everybody else kept out."""

import concurrent.futures
import hashlib
import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

PASSWORD = "correct horse battery"


# Registration


def test_registering_opens_an_account_and_a_workspace(visitor: Any) -> None:
    """Rule 1, and the body of the API document as printed."""
    answer = visitor.register(
        company_name="Dev Ltd", base_currency="EUR", time_zone="Europe/Berlin", fiscal_year_start=4
    )
    assert answer.status_code == 201, answer.text
    profile = answer.json()
    assert profile["email"] == visitor.email  # as it was typed
    assert profile["workspace"]["name"] == "Dev Ltd"
    assert profile["workspace"]["base_currency"] == "EUR"
    assert profile["workspace"]["fiscal_year_start"] == 4
    assert "access_token" not in profile
    assert "set-cookie" not in answer.headers
    assert visitor.facts() == ["UserRegistered"]
    assert visitor.facts(visitor.tenant) == ["WorkspaceOpened"]


def test_registering_may_log_in_at_once(visitor: Any) -> None:
    """Rule 1: a token only if `auto_login` asks for it."""
    answer = visitor.register(auto_login=True)
    assert answer.status_code == 201
    assert visitor.me(answer.json()).json()["sessions"] == 1
    assert "__Host-zeroinvoice=" in answer.headers["set-cookie"]


def test_an_address_is_registered_once_however_it_is_typed(jane: Any, visitors: Any) -> None:
    """Rule 1: trimmed and in small letters for uniqueness; 409 `email_taken`."""
    other = visitors()
    other.email = f"  {jane.email.upper()} "
    answer = other.register()
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


def test_of_parallel_registrations_of_one_address_exactly_one_succeeds(visitor: Any) -> None:
    """Rule 1, whatever the order in which the committer takes them."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: visitor.register().status_code, range(8)))
    assert sorted(answers) == [201] + [409] * 7


def test_trying_out_who_has_an_account_is_slowed_down(jane: Any, house: Any) -> None:
    """Duplicate registration is rate limited."""
    house.clock.moved = timedelta(hours=3)
    answers = [jane.register().status_code for _ in range(21)]
    assert answers == [409] * 20 + [429]


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("short77", 422),
        ("Password123", 422),  # 11 characters, and one that is tried first
        ("vD8_krull", 201),  # 9 characters nobody would try
        ("securepassword", 201),  # 14 characters: long enough by itself
        ("x" * 1025, 400),
        ("", 400),
    ],
)
def test_a_password_is_long_or_uncommon(visitor: Any, password: str, status: int) -> None:
    """Rule 1: at least 12 characters, or 8 that are on no list of common passwords."""
    before = visitor.head()
    answer = visitor.register(password=password)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["code"] == "weak_password"
    if status != 201:
        assert visitor.head() == before


def test_no_password_is_cut_off(visitor: Any) -> None:
    """Two passwords that differ in the last of 300 characters open different doors."""
    assert visitor.register(password="p" * 299 + "a").status_code == 201
    assert visitor.login("p" * 299 + "b").status_code == 401
    assert visitor.login("p" * 299 + "a").status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("email", "nobody", 422),
        ("email", "a@b.example\r\nBcc: x@y.example", 422),
        ("email", "a" * 300 + "@example.com", 400),
        ("full_name", "", 400),
        ("full_name", "Jane\nDev", 422),
        ("base_currency", "XXQ", 422),
        ("time_zone", "Mars/Olympus", 422),
        ("fiscal_year_start", 13, 422),
        ("locale", "../etc", 400),
        ("role", "owner", 400),
        ("id", str(UUID(int=7)), 400),
        ("tenant_id", str(UUID(int=8)), 400),
        ("password_hash", "x", 400),
    ],
)
def test_a_bad_registration_leaves_nothing(
    visitor: Any, field: str, value: Any, status: int
) -> None:
    """T5: what is computed cannot be sent; what is malformed is not kept."""
    before = visitor.head()
    assert visitor.register(**{field: value}).status_code == status
    assert visitor.head() == before


def test_a_registration_that_is_repeated_with_its_key_is_answered_alike(visitor: Any) -> None:
    """R-CMD-1."""
    body = {"email": visitor.email, "password": PASSWORD, "full_name": "J", "auto_login": True}
    key = {"Idempotency-Key": uuid4().hex}
    first, again = (visitor.post("/api/auth/register", body, **key) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"


# Login


def test_a_login_is_form_encoded_or_multipart(jane: Any) -> None:
    """Rule 2: the API document's curl sends multipart."""
    parts = {"username": (None, jane.email), "password": (None, PASSWORD)}
    for answer in (jane.login(), jane.http.post("/api/auth/login/", files=parts)):
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        assert tokens["token_type"] == "bearer"
        assert tokens["expires_in"] == 900
        assert jane.me(tokens).status_code == 200


def test_a_login_sets_cookies_that_no_script_and_no_other_host_can_reach(jane: Any) -> None:
    """Rule 2, T15."""
    cookies = jane.login().headers.get_list("set-cookie")
    assert [it.partition("=")[0] for it in cookies] == [
        "__Host-zeroinvoice",
        "__Host-zeroinvoice-refresh",
    ]
    for cookie in cookies:
        attributes = {it.strip().lower() for it in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
        assert not any(it.startswith("domain") for it in attributes)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"username":"a@b.example","password":"x"}', 415),
        ("text/plain", b"username=a&password=b", 415),
        ("", b"username=a&password=b", 415),
        ("application/x-www-form-urlencoded", b"username=a%40b.example", 400),
        ("application/x-www-form-urlencoded", b"username=a&password=%ff%fe", 400),
        ("application/x-www-form-urlencoded", b"username=a&password=\xff", 400),
        ("application/x-www-form-urlencoded", b"username=a&password=%00", 400),
        ("application/x-www-form-urlencoded", b"username=a&password=b&password=c", 400),
        ("application/x-www-form-urlencoded", b"a=b&" * 100, 400),
        ("application/x-www-form-urlencoded", b"username=a&password=b&grant_type=implicit", 400),
        ("application/x-www-form-urlencoded", b"username=a&password=" + b"x" * 1025, 400),
        ("multipart/form-data", b"--x\r\n", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="username"\r\n'
            b"Content-Type: text/plain; charset=klingon\r\n\r\na\r\n--x--\r\n",
            400,
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="username"; filename="f"\r\n\r\n'
            b"a\r\n--x--\r\n",
            400,
        ),
    ],
)
def test_a_login_in_any_other_shape_is_a_clear_refusal(
    visitor: Any, content_type: str, body: bytes, status: int
) -> None:
    """Rule 2: JSON is 415; malformed forms are 400; nothing is recorded."""
    before = visitor.head()
    answer = visitor.http.post(
        "/api/auth/login", content=body, headers={"Content-Type": content_type}
    )
    assert answer.status_code == status, answer.text
    assert visitor.head() == before


def test_a_wrong_password_and_an_unknown_user_look_alike(jane: Any, visitors: Any) -> None:
    """Section 2.2: the same body, the same work, as many facts."""
    stranger = visitors()
    grown = []
    bodies = []
    for it in (jane, stranger):
        before = jane.head()
        answer = it.login("not the password")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        grown.append(jane.head() - before)
        bodies.append({k: v for k, v in answer.json().items() if k != "trace_id"})
    assert bodies[0] == bodies[1]
    assert grown[0] == grown[1] == 3
    assert jane.facts()[-1] == "LoginFailed"


def test_a_failed_login_is_on_record_with_its_origin_and_without_the_password(jane: Any) -> None:
    """Rule 8."""
    jane.login("a wrong password")
    last = jane.house.parts.journal.history(jane.tenant, jane.user)[-1]
    assert (last.origin.ip, last.origin.agent) == (jane.ip, "visitor/1")


def test_five_failures_cost_a_growing_wait_that_ends(jane: Any, house: Any) -> None:
    """Rule 8: 429 with Retry-After, doubling, recorded no further, and never for good."""
    waits = []
    for n in range(8):
        if n >= 5:
            before = jane.head()
            refused = jane.login("wrong again")
            assert refused.status_code == 429, refused.text
            assert jane.head() == before  # a throttled attempt records nothing
            waits.append(int(refused.headers["retry-after"]))
            assert jane.login().status_code == 429  # not even the right password is told
            house.clock.moved += timedelta(seconds=waits[-1])
        assert jane.login("wrong again").status_code == 401
    assert waits == [1, 2, 4]
    house.clock.moved += timedelta(minutes=15)
    assert jane.login().status_code == 200
    assert jane.login("wrong").status_code == 401  # the count began anew
    assert jane.login().status_code == 200


def test_nobody_is_locked_out_by_a_stranger_elsewhere(jane: Any, visitors: Any) -> None:
    """Rule 8: an account's throttle is bound to the network of who attempts."""
    thief = visitors()
    thief.email = jane.email
    answers = [thief.login(f"guess {n}").status_code for n in range(6)]
    assert answers == [401] * 5 + [429]
    assert jane.login().status_code == 200


def test_guessing_at_many_accounts_from_one_network_is_slowed_down(visitor: Any) -> None:
    """Rule 8, T9: spraying one password over many accounts."""
    statuses = []
    for n in range(21):
        visitor.email = f"victim{n}@example.com"
        statuses.append(visitor.login("Summer2026!").status_code)
    assert statuses == [401] * 20 + [429]


def test_many_logins_at_once_leave_others_quick(jane: Any, house: Any) -> None:
    """T9: hashing is bounded; who needs no hash does not wait."""
    tokens = jane.entered()
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        logins = [pool.submit(jane.login, timeout=60) for _ in range(30)]
        time.sleep(0.2)
        worst = 0.0
        while not all(it.done() for it in logins):
            begun = time.monotonic()
            assert jane.me(tokens).status_code == 200
            worst = max(worst, time.monotonic() - begun)
    assert {it.result().status_code for it in logins} == {200}
    assert worst < 1.0, f"a read took {worst:.3f} s"


def test_health_answers_while_fifty_log_in(jane: Any) -> None:
    """T9: whoever logs in waits for a hash, and the process for none of them."""
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        logins = [pool.submit(jane.login, timeout=120) for _ in range(50)]
        waits = []
        while not all(it.done() for it in logins):
            begun = time.monotonic()
            assert jane.http.get("/api/health").status_code == 200
            waits.append(time.monotonic() - begun)
            time.sleep(0.02)
    assert {it.result().status_code for it in logins} == {200}
    print(f"{len(waits)} times healthy, after at most {max(waits):.3f} s")
    assert max(waits) < 2.0, f"health took {max(waits):.3f} s"


def test_a_forwarded_address_does_not_help_whoever_guesses(jane: Any) -> None:
    """T8: a header that anybody can write names nobody's network."""
    statuses = [
        jane.login("wrong", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code
        for n in range(6)
    ]
    assert statuses == [401] * 5 + [429]


def test_a_foreign_page_can_log_nobody_in(jane: Any, house: Any) -> None:
    """T15: a login has a side effect in the browser, too."""
    before = jane.head()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert jane.login(headers=headers).status_code == 403
    assert jane.head() == before
    assert jane.login(headers={"Origin": house.url}).status_code == 200


@pytest.mark.parametrize("path", ["authorize", "callback?code=x&state=y"])
def test_single_sign_on_says_that_it_is_not_set_up(visitor: Any, path: str) -> None:
    """Rule 9: a problem, not a crash."""
    answer = visitor.http.get(f"/api/auth/ainative/{path}")
    assert (answer.status_code, answer.json()["code"]) == (503, "sso_not_configured")


def test_no_secret_is_on_record(jane: Any, capfd: Any) -> None:
    """T32: neither passwords nor tokens, nor what a password could be tried against."""
    tokens = jane.entered()
    jane.login("a wrong secret 4711")
    jane.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    keyed = {"username": jane.email, "password": PASSWORD}
    jane.http.post("/api/auth/login", data=keyed, headers={"Idempotency-Key": uuid4().hex})
    with psycopg.connect(jane.house.database_url, autocommit=True) as connection:
        rows = connection.execute("SELECT state FROM facts").fetchall()
        rows += connection.execute("SELECT outcome FROM answers").fetchall()
    written = "\n".join(row[0] for row in rows) + "".join(capfd.readouterr())
    secrets = (PASSWORD, "a wrong secret 4711", tokens["access_token"], tokens["refresh_token"])
    assert [it for it in secrets if it in written] == []


def test_what_is_kept_of_a_keyed_login_does_not_betray_its_password(jane: Any) -> None:
    """T32: the fingerprint of the request is no hash that passwords could be tried against."""
    fields = {"username": jane.email, "password": PASSWORD}
    request = jane.http.build_request(
        "POST", "/api/auth/login", data=fields, headers={"Idempotency-Key": uuid4().hex}
    )
    assert jane.http.send(request).status_code == 200
    guesses = [
        hashlib.sha256(b"\n".join((b"", kind, bound)) + request.content).digest()
        for kind in (b"", b"application/x-www-form-urlencoded")
        for bound in (b"", PASSWORD.encode())
    ]
    with psycopg.connect(jane.house.database_url, autocommit=True) as connection:
        known = connection.execute(
            "SELECT count(*) FROM answers WHERE fingerprint = ANY(%s)", [guesses]
        ).fetchone()
    assert known == (0,)
