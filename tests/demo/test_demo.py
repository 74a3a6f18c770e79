"""The demo, on a small scale: what it writes is what a user could have written."""

import re
from typing import Any

import httpx

from zeroinvoice import demo


def test_a_small_demo_fills_a_workspace_one_can_log_in_to(house: Any) -> None:
    """Design 7: every list has something to show, and the login that is said works."""
    said: list[str] = []
    assert demo.play(house.url, said.append, scale=0.1) == 0, "\n".join(said)
    text = "\n".join(said)
    email, password = (
        re.search(rf"{what} +(\S+)", text)[1]  # type: ignore[index]  # else the test fails
        for what in ("E-mail", "Password")
    )
    with httpx.Client(base_url=house.url, timeout=10) as http:
        login = http.post("/api/auth/login", data={"username": email, "password": password})
        assert login.status_code == 200, login.text
        http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        invoices = http.get("/api/invoices?limit=200&include_deleted=true").json()["items"]
        assert len(invoices) >= 3
        assert len({it["currency"] for it in invoices}) >= 1
        assert {it["client_name"] for it in invoices} <= {it.name for it in demo.CUSTOMERS}
        days = [it["issue_date"] for it in reversed(invoices) if it["number"]]
        assert days == sorted(days), "numbers are given in the order of the days"
        clients = http.get("/api/clients").json()["items"]
        assert len(clients) == 3
        assert http.get("/api/payments").json()["items"]
        assert http.get("/api/workspace").json()["seller"]["legal_name"]


def test_a_demo_that_cannot_be_played_says_why() -> None:
    said: list[str] = []
    tries, demo.TRIES = demo.TRIES, 1
    try:
        assert demo.play("http://127.0.0.1:1", said.append) == 1
    finally:
        demo.TRIES = tries
    assert "cannot be reached" in said[-1]
