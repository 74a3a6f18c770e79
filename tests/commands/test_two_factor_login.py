"""Logins with a second factor over HTTP: begun by half, finished by a code that is good once."""

import concurrent.futures
import re
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from litestar.routes import HTTPRoute

PASSWORD = "correct horse battery"
FULL_WIDTH = "１２３４５６"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def test_a_right_password_alone_lets_nobody_in(secured: Any) -> None:
    """A1-3: 200 with an `mfa_token`, and neither a token nor a cookie that opens anything."""
    answer = secured.it.login()
    assert answer.status_code == 200
    body = answer.json()
    assert body["mfa_required"] is True
    assert body["methods"] == ["totp", "backup_code"]
    assert body["expires_in"] == 300
    assert not {"access_token", "refresh_token"} & body.keys()
    assert all("Max-Age=0" in it for it in answer.headers.get_list("set-cookie"))
    assert secured.it.me(secured.tokens).json()["sessions"] == 1
    assert secured.it.facts()[-1] == "SecondFactorAsked"


def test_the_code_finishes_the_login(secured: Any) -> None:
    """A2-2: tokens and cookies, as a login gives them."""
    answer = secured.finish(secured.code())
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert tokens["token_type"] == "bearer"
    assert "__Host-zeroinvoice=" in answer.headers["set-cookie"]
    assert secured.it.me(tokens).json()["sessions"] == 2
    renewed = secured.it.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 200
    assert secured.it.facts()[-1] == "LoggedIn"


def test_a_code_may_be_sent_with_the_password(secured: Any) -> None:
    """A1-2: the form's field `otp` finishes a login at once."""
    fields = {"username": secured.it.email, "password": PASSWORD}

    def login(otp: str) -> httpx.Response:
        it: httpx.Response = secured.it.http.post("/api/auth/login", data={**fields, "otp": otp})
        return it

    assert refusal(login(secured.wrong())) == (401, "wrong_code")
    answer = login(secured.code())
    assert secured.it.me(answer.json()).status_code == 200
    assert refusal(login(secured.code())) == (401, "wrong_code")  # spent
    assert login("12345").status_code == login(FULL_WIDTH).status_code == 400
    assert login("").json()["mfa_required"] is True


def test_a_wrong_password_says_nothing_of_the_second_factor(secured: Any) -> None:
    """Section 2.2, auth/login: the same body as anybody's."""
    body = secured.it.login("wrong").json()
    assert body["code"] == "bad_login"
    assert "mfa" not in str(body)


def test_an_mfa_token_is_good_once(secured: Any) -> None:
    """A1-3: single use, also when the next code is right."""
    token = secured.half()
    assert secured.finish(secured.code(), token).status_code == 200
    secured.wait()
    assert secured.finish(secured.code(), token).status_code == 401
    assert secured.by_backup(secured.backup[0], token).status_code == 401
    assert secured.post("logout", None, token).status_code == 401


def test_an_mfa_token_is_good_for_five_minutes(secured: Any) -> None:
    """A1-3."""
    token = secured.half()
    secured.wait(11)
    assert refusal(secured.finish(secured.code(), token)) == (401, "token_expired")


@pytest.mark.parametrize("path", ["2fa/verify", "2fa/verify-backup"])
def test_only_an_mfa_token_finishes_a_login(secured: Any, path: str) -> None:
    """T14: an access, refresh or made-up token is none, nor is one of another type or key."""
    access = secured.tokens["access_token"]
    claims = jwt.decode(access, options={"verify_signature": False})
    key = secured.it.house.parts.keyring.key("access-token")
    forged = jwt.encode(claims, key, algorithm="HS256", headers={"typ": "mfa+jwt"})
    for token in (access, secured.tokens["refresh_token"], "x", "", forged):
        body = {"code": secured.code(), "mfa_token": token}
        assert secured.it.post(f"/api/auth/{path}", body).status_code == 401
    assert secured.it.post("/api/auth/2fa/verify", {"code": "123456"}).status_code == 401


def test_a_half_session_may_do_nothing_else(secured: Any, house: Any) -> None:
    """T10: every operation that asks who one is answers 403 `second_factor_pending`."""
    token, kind = secured.half(), "{resource_type:str}"
    head = secured.it.head()
    inside = [
        (method, re.sub(r"\{[^}]*\}", str(uuid4()), route.path.replace(kind, "client")))
        for route in house.app._app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/api")
        for method, (handler, _) in route.route_handler_map.items()
        if handler.opt.get("may") not in (None, "anybody", "logout")
    ]
    assert len(inside) > 60
    bearer, heard = {"Authorization": f"Bearer {token}"}, 0
    for method, path in inside:
        answer = secured.it.http.request(method, path, headers=bearer)
        if answer.status_code != 400:  # a body that is looked at first says nothing of anybody
            assert refusal(answer) == (403, "second_factor_pending"), (method, path)
            heard += 1
    assert heard > 30
    for path, body in (
        ("/api/clients", {"name": "Acme"}),
        ("/api/auth/confirm", {"password": PASSWORD}),
        ("/api/auth/2fa/setup", {"password": PASSWORD}),
        ("/api/auth/2fa/disable", {"password": PASSWORD, "code": secured.code()}),
        ("/api/auth/2fa/backup-codes", {"password": PASSWORD, "code": secured.code()}),
        ("/api/auth/2fa/verify", {"code": secured.code()}),
    ):
        answer = secured.it.post(path, body, **bearer)
        assert refusal(answer) == (403, "second_factor_pending"), path
    cookie = {"Cookie": f"__Host-zeroinvoice={token}"}
    assert secured.it.http.get("/api/auth/me", headers=cookie).status_code == 403
    assert secured.it.post("/api/auth/refresh", {"refresh_token": token}).status_code == 401
    assert secured.it.head() == head


def test_a_login_that_waits_for_its_second_factor_can_be_given_up(secured: Any) -> None:
    """T10: logging out is the one other thing an mfa_token is good for."""
    token, other = secured.half(), secured.half()
    bearer = {"Authorization": f"Bearer {token}"}
    assert secured.it.post("/api/auth/logout", None, **bearer).status_code == 204
    assert secured.it.facts()[-1] == "LoggedOut"
    assert secured.finish(secured.code(), token).status_code == 401
    assert secured.it.post("/api/auth/logout", None, **bearer).status_code == 401
    assert secured.finish(secured.code(), other).status_code == 200


def test_a_foreign_page_can_finish_no_login(secured: Any) -> None:
    """T15: it would log its visitor in as somebody else."""
    answer = secured.finish(secured.code(), Origin="https://evil.example")
    assert answer.status_code == 403


# Codes


def test_of_thirty_equal_codes_at_once_one_is_taken(secured: Any) -> None:
    """T11: a code works once, whoever sends it how often."""
    tokens, code = [secured.half() for _ in range(10)], secured.code()
    sent = [tokens[n % 10] for n in range(30)]
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda it: secured.finish(code, it).status_code, sent))
    counted = Counter(answers)
    assert counted[200] == 1, counted
    assert set(counted) <= {200, 401, 429}
    assert secured.facts().count("TwoFactorCodeAccepted") == 1


def test_no_code_of_an_earlier_step_is_taken_after_a_later_one(secured: Any) -> None:
    """T11, A2-3: RFC 6238, 5.2."""
    now, next_ = secured.code(), secured.code(1)
    assert secured.finish(next_).status_code == 200
    assert refusal(secured.finish(now)) == (401, "wrong_code")
    assert refusal(secured.finish(next_)) == (401, "wrong_code")


def test_a_code_is_good_one_step_before_and_after_its_own(secured: Any) -> None:
    """A2-3: a window of one step to either side."""
    assert secured.finish(secured.code(-2)).status_code == 401
    assert secured.finish(secured.code(2)).status_code == 401
    secured.wait(2)
    assert secured.finish(secured.code(-1)).status_code == 200
    assert secured.finish(secured.code(1)).status_code == 200


@pytest.mark.parametrize("code", [FULL_WIDTH, "12345", "1234567", "12 345", "123456\n", "", 123456])
def test_a_code_is_six_ascii_digits(secured: Any, code: Any) -> None:
    """T11: anything else is malformed, and counts as no attempt."""
    assert secured.finish(code).status_code == 400
    assert "TwoFactorCodeRefused" not in secured.facts()


def test_five_wrong_codes_cost_ten_minutes_and_the_half_session(secured: Any) -> None:
    """A2-4: 429 with Retry-After, in every session; a state of the stream, not of a process."""
    token, other = secured.half(), secured.half()
    answers = [secured.finish(secured.wrong(), token).status_code for _ in range(5)]
    assert answers == [401] * 5
    assert secured.finish(secured.code(), token).status_code == 401  # it is dead
    session = UUID(jwt.decode(token, options={"verify_signature": False})["sid"])
    assert secured.it.facts(session)[-1] == "SessionEnded"
    head = secured.it.head()
    locked = secured.finish(secured.code(), other)
    assert refusal(locked) == (429, "too_many_attempts")
    assert 500 < int(locked.headers["retry-after"]) <= 600
    assert secured.disable(code=secured.code()).status_code == 429
    assert secured.it.head() == head
    secured.wait(20)
    assert secured.finish(secured.code()).status_code == 200


def test_wrong_codes_are_forgotten_when_a_right_one_came(secured: Any) -> None:
    """A2-4: five at a time, not five for ever."""
    for _ in range(2):
        token = secured.half()
        assert [secured.finish(secured.wrong(), token).status_code for _ in range(4)] == [401] * 4
        assert secured.finish(secured.code(), token).status_code == 200
        secured.wait()


def test_a_wrong_first_code_counts_too(holder: Any) -> None:
    """A2-4."""
    holder.set_up()
    answers = [holder.post("2fa/verify", {"code": holder.wrong()}).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
