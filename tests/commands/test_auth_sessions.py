"""Sessions over HTTP: shown, renewed, ended; and what a cookie alone may not do."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest


def test_me_shows_the_user_and_their_workspace(jane: Any) -> None:
    """Rule 10."""
    tokens = jane.entered()
    jane.entered()
    me = jane.me(tokens)
    assert me.status_code == 200
    shown = me.json()
    assert shown["id"] == jane.profile["id"]
    assert shown["workspace"] == jane.profile["workspace"]
    assert (shown["role"], shown["permissions"]) == ("owner", ["*"])
    assert shown["two_factor"] == {"enabled": False}
    assert (shown["locale"], shown["time_zone"]) == ("en", "UTC")
    assert shown["sessions"] == 2
    assert "password" not in me.text
    assert me.headers["etag"] == '"3"'


def test_me_is_for_those_who_are_logged_in(visitor: Any) -> None:
    assert visitor.http.get("/api/auth/me").status_code == 401


def test_a_logout_ends_the_session_at_once(jane: Any) -> None:
    """Rule 5: the access token is still valid by itself, and is worth nothing."""
    tokens, other = jane.entered(), jane.entered()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = jane.http.post("/api/auth/logout", headers=bearer)
    assert answer.status_code == 204
    assert all("Max-Age=0" in it for it in answer.headers.get_list("set-cookie"))
    assert jane.http.get("/api/invoices", headers=bearer).status_code == 401
    assert jane.me(tokens).status_code == 401
    written = jane.http.post("/api/auth/logout", headers=bearer)
    assert written.status_code == 401
    renewed = jane.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 401
    assert jane.me(other).json()["sessions"] == 1
    assert jane.facts()[-1] == "LoggedOut"


def test_a_session_is_renewed_by_body_or_cookie(jane: Any, house: Any) -> None:
    """Rules 4 and 5: the refresh token rotates."""
    tokens = jane.entered()
    first = jane.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert first.status_code == 200, first.text
    assert first.json()["refresh_token"] != tokens["refresh_token"]
    assert jane.me(first.json()).status_code == 200
    cookie = {"Cookie": f"__Host-zeroinvoice-refresh={first.json()['refresh_token']}"}
    second = jane.http.post("/api/auth/refresh", headers={**cookie, "Origin": house.url})
    assert second.status_code == 200, second.text
    assert second.json()["refresh_token"] != first.json()["refresh_token"]
    assert "__Host-zeroinvoice-refresh=" in second.headers["set-cookie"]


def test_within_ten_seconds_an_old_refresh_token_gets_the_same_successor(
    jane: Any, house: Any
) -> None:
    """T13: whoever lost the answer is not thrown out."""
    old = {"refresh_token": jane.entered()["refresh_token"]}
    first = jane.post("/api/auth/refresh", old).json()
    house.clock.moved += timedelta(seconds=8)
    again = jane.post("/api/auth/refresh", old)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == first["refresh_token"]


def test_a_refresh_token_that_comes_back_ends_the_whole_family(jane: Any, house: Any) -> None:
    """Rule 4, T13: the reuse is on record although the answer is 401."""
    tokens = jane.entered()
    old = {"refresh_token": tokens["refresh_token"]}
    newest = jane.post("/api/auth/refresh", old).json()
    house.clock.moved += timedelta(seconds=11)
    answer = jane.post("/api/auth/refresh", old)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
    assert (
        jane.post("/api/auth/refresh", {"refresh_token": newest["refresh_token"]}).status_code
        == 401
    )
    assert jane.me(newest).status_code == 401
    session = UUID(hex=old["refresh_token"].split(".")[1])
    assert jane.facts(session)[-2:] == ["RefreshReuseDetected", "SessionEnded"]
    assert jane.facts()[-1] == "SessionRevoked"


def test_a_session_lasts_thirty_days_however_often_it_is_renewed(jane: Any, house: Any) -> None:
    """T13: the absolute life of a session; and two weeks if it is not used."""
    token, idle = jane.entered()["refresh_token"], jane.entered()["refresh_token"]
    for _ in range(3):
        house.clock.moved += timedelta(days=9)
        renewed = jane.post("/api/auth/refresh", {"refresh_token": token})
        assert renewed.status_code == 200, renewed.text
        token = renewed.json()["refresh_token"]
    assert jane.post("/api/auth/refresh", {"refresh_token": idle}).status_code == 401
    house.clock.moved += timedelta(days=4)
    assert jane.post("/api/auth/refresh", {"refresh_token": token}).status_code == 401


def test_a_keyed_renewal_is_answered_alike_and_is_bound_to_its_token(jane: Any, house: Any) -> None:
    """R-CMD-1: two cookies are two requests, though neither has a body."""
    key = uuid4().hex
    tokens = [jane.entered()["refresh_token"] for _ in range(2)]

    def renew(token: str) -> httpx.Response:
        headers = {
            "Cookie": f"__Host-zeroinvoice-refresh={token}",
            "Origin": house.url,
            "Idempotency-Key": key,
        }
        return jane.http.post("/api/auth/refresh", headers=headers)

    first, again = renew(tokens[0]), renew(tokens[0])
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert renew(tokens[1]).json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("sent", ["", "x", "a.b.c.d", "é.1.2", "." * 400])
def test_a_refresh_token_that_we_did_not_make_is_refused(visitor: Any, sent: str) -> None:
    assert visitor.post("/api/auth/refresh", {"refresh_token": sent}).status_code == 401


def test_tokens_stand_for_one_thing_only(jane: Any) -> None:
    """T14: a refresh token gives no access, an access token renews nothing."""
    tokens = jane.entered()
    assert jane.me({"access_token": tokens["refresh_token"]}).status_code == 401
    sent = {"refresh_token": tokens["access_token"]}
    assert jane.post("/api/auth/refresh", sent).status_code == 401
    assert jane.post("/api/auth/refresh").status_code == 401


def test_a_cookie_alone_lets_no_foreign_page_write(jane: Any, house: Any) -> None:
    """Rule 6, T15: with a cookie an unsafe request must come from our own pages."""
    tokens = jane.entered()
    access = {"Cookie": f"__Host-zeroinvoice={tokens['access_token']}"}
    refresh = {"Cookie": f"__Host-zeroinvoice-refresh={tokens['refresh_token']}"}
    assert jane.http.get("/api/auth/me", headers=access).status_code == 200
    before = jane.head()
    for foreign in (
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-HTTP-Method-Override": "GET"},
    ):
        for path, cookie in (("logout", access), ("refresh", refresh)):
            answer = jane.http.post(f"/api/auth/{path}", headers={**cookie, **foreign})
            assert answer.status_code == 403, (path, foreign, answer.text)
    plain = {**access, "Origin": house.url, "Content-Type": "text/plain"}
    assert jane.http.post("/api/invoices", headers=plain, content=b"{}").status_code == 415
    assert jane.head() == before
    own = {**access, "Sec-Fetch-Site": "same-origin"}
    assert jane.http.post("/api/auth/logout", headers=own).status_code == 204
