"""Confirming who one is, over HTTP: asked of whoever touches bank accounts."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery"
ACCOUNT = {"type": "iban", "iban": "DE89370400440532013000", "account_holder": "Acme Corp"}


class Banking:
    """A holder of a session, and a client with a bank account."""

    def __init__(self, holder: Any) -> None:
        self.holder = holder
        bearer = {"Authorization": f"Bearer {holder.tokens['access_token']}"}
        self.http = holder.it.http
        client = self.http.post("/api/clients", json={"name": "Acme Corp"}, headers=bearer).json()
        self.path = f"/api/customers/{client['id']}/bank-accounts"
        self.account = f"{self.path}/{self.add().json()['id']}"

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        self.renew()
        bearer = {"Authorization": f"Bearer {self.holder.tokens['access_token']}"}
        answer: httpx.Response = self.http.request(method, path, json=body, headers=bearer)
        return answer

    def renew(self) -> None:
        """A new access token, as a client fetches one; it makes nothing fresh."""
        token = {"refresh_token": self.holder.tokens["refresh_token"]}
        self.holder.tokens = self.holder.it.post("/api/auth/refresh", token).json()

    def add(self, iban: str = ACCOUNT["iban"]) -> httpx.Response:
        return self.send("POST", self.path, {**ACCOUNT, "iban": iban})

    def later(self) -> None:
        self.holder.it.house.clock.moved += timedelta(minutes=11)

    def confirm(self, password: str = PASSWORD, **code: str) -> httpx.Response:
        self.renew()
        answer: httpx.Response = self.holder.post("confirm", {"password": password, **code})
        return answer


@pytest.fixture
def banking(holder: Any) -> Banking:
    return Banking(holder)


def test_bank_accounts_are_changed_soon_after_a_login(banking: Banking) -> None:
    """Section 2.2, bank accounts: step-up of at most ten minutes; no renewal makes it fresh."""
    assert banking.send("PATCH", banking.account, {"bank_name": "Bank"}).status_code == 200
    banking.later()
    head = banking.holder.it.head()
    for method, path, body in (
        ("POST", banking.path, ACCOUNT),
        ("PATCH", banking.account, {"bank_name": "Other"}),
        ("DELETE", banking.account, None),
    ):
        answer = banking.send(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "confirmation_required")
    assert banking.holder.it.head() == head + 3  # the three renewals
    assert banking.send("GET", banking.path).status_code == 200
    assert banking.send("POST", "/api/clients", {"name": "Other Ltd"}).status_code == 201


def test_the_password_makes_a_session_fresh_for_ten_minutes(banking: Banking) -> None:
    """Section 2.2, bank accounts."""
    banking.later()
    assert banking.confirm().json() == {"expires_in": 600}
    assert banking.send("DELETE", banking.account).status_code == 200
    banking.later()
    assert banking.add().status_code == 403


def test_another_session_stays_as_it_was(banking: Banking) -> None:
    """Section 2.2: it is the session that is confirmed, not the user."""
    other = banking.holder.it.entered()
    banking.later()
    assert banking.confirm().status_code == 200
    banking.holder.tokens = other
    assert banking.add("FR1420041010050500013M02606").status_code == 403


def test_a_wrong_password_confirms_nothing_and_is_throttled(banking: Banking) -> None:
    """Section 2.2: whoever has stolen a session cannot guess the password there."""
    banking.later()
    answers = [banking.confirm(f"guess {n}") for n in range(6)]
    assert [it.status_code for it in answers] == [401] * 5 + [429]
    assert answers[0].json()["code"] == "wrong_password"
    assert banking.add().status_code == 403


def test_with_a_second_factor_on_a_code_is_needed_too(secured: Any) -> None:
    """Section 2.2, A2-3: and it is spent by it."""
    banking = Banking(secured)
    banking.later()
    answer = banking.confirm()
    assert (answer.status_code, answer.json()["code"]) == (401, "second_factor_required")
    assert banking.confirm(code=secured.wrong()).json()["code"] == "wrong_code"
    code = secured.code()
    assert banking.confirm(code=code).status_code == 200
    assert banking.confirm(code=code).status_code == 401
    assert banking.add("FR1420041010050500013M02606").status_code == 201


def test_a_login_by_second_factor_is_fresh_from_its_code_on(secured: Any) -> None:
    """Section 2.2."""
    banking = Banking(secured)
    banking.later()
    secured.tokens = secured.finish(secured.code()).json()
    assert banking.add("FR1420041010050500013M02606").status_code == 201


def test_a_confirmation_leaves_the_family_of_tokens_as_it_was(banking: Banking) -> None:
    """T13: it prolongs neither the grace of an old refresh token nor an idle session."""
    old = banking.holder.tokens["refresh_token"]
    banking.renew()
    banking.holder.it.house.clock.moved += timedelta(seconds=8)
    assert banking.holder.post("confirm", {"password": PASSWORD}).status_code == 200
    banking.holder.it.house.clock.moved += timedelta(seconds=5)
    answer = banking.holder.it.post("/api/auth/refresh", {"refresh_token": old})
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
