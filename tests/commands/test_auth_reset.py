"""Forgotten passwords over HTTP, and the letters that go with them."""

import concurrent.futures
import itertools
import re
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import psycopg
import pytest

NEW = "an entirely new secret"


def token_in(letter: EmailMessage) -> str:
    found = re.search(r"#token=(\S+)", letter.get_content())
    assert found is not None
    return found[1]


def asked(visitor: Any, path: str = "request-password-reset", **headers: str) -> Any:
    return visitor.post(f"/api/auth/{path}", {"email": visitor.email}, **headers)


def reset(visitor: Any, token: str, password: str = NEW) -> Any:
    return visitor.post("/api/auth/reset-password", {"token": token, "new_password": password})


@pytest.mark.parametrize("path", ["request-password-reset", "forgot-password"])
def test_a_letter_sets_a_new_password_and_ends_every_session(jane: Any, path: str) -> None:
    """Rules 7 and 11: a link to where the settings say, and word of it when it was used."""
    sessions = [jane.entered() for _ in range(2)]
    assert asked(jane, path, Host="evil.example").status_code == 202
    (letter,) = jane.mailed(1)
    link = f"{jane.house.settings.public_url}/reset-password#token="
    assert link in letter.get_content()
    assert "evil" not in letter.as_string()
    assert reset(jane, token_in(letter)).status_code == 200
    assert [jane.me(it).status_code for it in sessions] == [401, 401]
    renewed = jane.post("/api/auth/refresh", {"refresh_token": sessions[0]["refresh_token"]})
    assert renewed.status_code == 401
    assert jane.login().status_code == 401
    assert jane.login(NEW).status_code == 200
    for tokens in sessions:
        session = UUID(hex=tokens["refresh_token"].split(".")[1])
        assert jane.facts(session)[-1] == "SessionEnded"
    notice = jane.mailed(2)[1]
    assert notice["Subject"] == "Your password was changed"
    assert "token=" not in notice.get_content()


def test_asking_tells_nobody_who_has_an_account(jane: Any, visitors: Any) -> None:
    """Rule 7: known or not, the same answer and as many facts."""
    stranger, weird = visitors(), visitors()
    weird.email = "not an address"
    answers = [asked(it) for it in (jane, stranger, weird)]
    assert {it.status_code for it in answers} == {202}
    assert len({it.text for it in answers}) == 1
    positions = [int(it.headers["x-position"]) for it in answers]
    assert [b - a for a, b in itertools.pairwise(positions)] == [2, 2]
    jane.mailed(1)
    assert stranger.letters() == []


def test_a_token_is_good_once(jane: Any) -> None:
    """Rule 7: single use."""
    asked(jane)
    token = token_in(jane.mailed(1)[0])
    assert reset(jane, token, "short").json()["code"] == "weak_password"  # and is not spent
    assert reset(jane, token).status_code == 200
    again = reset(jane, token, "yet another secret")
    assert (again.status_code, again.json()["code"]) == (422, "reset_token_invalid")
    assert jane.login(NEW).status_code == 200


def test_of_parallel_uses_of_one_token_exactly_one_succeeds(jane: Any) -> None:
    """T17."""
    asked(jane)
    token = token_in(jane.mailed(1)[0])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: reset(jane, token, f"{NEW} {n}").status_code, range(4)))
    assert sorted(answers) == [200, 422, 422, 422]


def test_a_new_token_voids_the_one_before(jane: Any) -> None:
    """Rule 7, T17: the newest wins."""
    asked(jane)
    old = token_in(jane.mailed(1)[0])
    asked(jane)
    new = token_in(jane.mailed(2)[1])
    assert reset(jane, old).status_code == 422
    assert reset(jane, new).status_code == 200


def test_a_token_is_good_for_an_hour(jane: Any, house: Any) -> None:
    """Rule 7."""
    asked(jane)
    token = token_in(jane.mailed(1)[0])
    house.clock.moved += timedelta(minutes=61)
    assert reset(jane, token).status_code == 422


@pytest.mark.parametrize("sent", ["", "x", "a.b.c", "é.1.2", "0.0.0"])
def test_a_token_that_we_did_not_make_is_refused(visitor: Any, sent: str) -> None:
    answer = reset(visitor, sent)
    assert (answer.status_code, answer.json()["code"]) == (422, "reset_token_invalid")


def test_a_reset_token_opens_nothing_else(jane: Any) -> None:
    """T14: each kind of token is for one thing."""
    asked(jane)
    token = token_in(jane.mailed(1)[0])
    tokens = jane.entered()
    assert jane.me({"access_token": token}).status_code == 401
    assert jane.post("/api/auth/refresh", {"refresh_token": token}).status_code == 401
    for other in tokens["access_token"], tokens["refresh_token"]:
        assert reset(jane, other).status_code == 422


def test_nobody_is_buried_in_letters(jane: Any, house: Any) -> None:
    """Five letters in an hour; more questions get the same answer and no letter."""
    answers = [asked(jane).status_code for _ in range(7)]
    assert answers == [202] * 7
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM facts WHERE topic = 'PasswordResetAsked' AND stream = ("
            " SELECT stream FROM facts WHERE topic = 'AddressClaimed' AND state LIKE %s)",
            [f"%{jane.user}%"],
        ).fetchone()
    assert row == (5,)


def test_asking_for_many_addresses_from_one_network_is_slowed_down(visitor: Any) -> None:
    """T7."""
    answers = []
    for n in range(21):
        visitor.email = f"nobody{n}@example.com"
        answers.append(asked(visitor).status_code)
    assert answers == [202] * 20 + [429]


def test_the_reset_lifts_the_wait_of_whoever_forgot(jane: Any) -> None:
    """Rule 8: a delay, never a lock."""
    assert [jane.login("forgotten").status_code for _ in range(6)] == [401] * 5 + [429]
    asked(jane)
    assert reset(jane, token_in(jane.mailed(1)[0])).status_code == 200
    assert jane.login(NEW).status_code == 200


def test_a_login_from_a_new_device_is_told_to_the_user(jane: Any) -> None:
    """Rule 11: not the device that registered, nor one that has been here before."""
    jane.entered()
    for _ in range(2):
        assert jane.login(headers={"User-Agent": "other/2"}).status_code == 200
    (letter,) = jane.mailed(1)
    assert letter["Subject"] == "A login from a new device"
    assert "other/2" in letter.get_content()
    assert jane.ip in letter.get_content()
    facts = jane.house.parts.journal.history(jane.tenant, jane.user)
    assert [it.event.new_device for it in facts[1:]] == [False, True, False]


def test_a_stolen_refresh_token_is_told_to_the_user(jane: Any, house: Any) -> None:
    """T13: the family is dead, and its owner hears of it."""
    old = {"refresh_token": jane.entered()["refresh_token"]}
    jane.post("/api/auth/refresh", old)
    house.clock.moved += timedelta(seconds=11)
    jane.post("/api/auth/refresh", old)
    assert jane.mailed(1)[0]["Subject"] == "A session was ended"


def test_a_reset_token_is_in_its_letter_and_nowhere_else(jane: Any, capfd: Any) -> None:
    """T17, T32: neither in a fact nor in a log."""
    asked(jane)
    token = token_in(jane.mailed(1)[0])
    reset(jane, token)
    with psycopg.connect(jane.house.database_url, autocommit=True) as connection:
        rows = connection.execute("SELECT state FROM facts").fetchall()
    written = "\n".join(row[0] for row in rows) + "".join(capfd.readouterr())
    assert [it for it in (token, token.rpartition(".")[2], NEW) if it in written] == []


def test_letters_lie_where_only_their_owner_can_read_them(jane: Any, house: Any) -> None:
    asked(jane)
    jane.mailed(1)
    folder = house.settings.mail_dir
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
