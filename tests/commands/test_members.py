"""Members over HTTP: invited by letter, let in, given roles, let go."""

import concurrent.futures
import re
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import pytest

PASSWORD = "correct horse battery"
MEMBERS = "/api/workspace/members"


def bearer(who: Any, **more: str) -> dict[str, str]:
    """A token from the first login; another costs a slow hash."""
    if "access_token" not in who.profile:
        who.profile["access_token"] = who.entered()["access_token"]
    return {"Authorization": f"Bearer {who.profile['access_token']}", **more}


def invite(by: Any, email: str, role: str = "member", **headers: str) -> Any:
    body = {"email": email, "role": role}
    return by.http.post(MEMBERS, json=body, headers=bearer(by, **headers))


def token_in(letter: EmailMessage) -> str:
    found = re.search(r"/accept-invitation#token=(\S+)", letter.get_content())
    assert found is not None
    return found[1]


def accept(guest: Any, token: str, **more: Any) -> Any:
    body = {"token": token, "full_name": "Gus Guest", "password": PASSWORD, **more}
    return guest.post("/api/auth/accept-invitation", body)


def listed(by: Any) -> dict[str, Any]:
    answer = by.http.get(MEMBERS, headers=bearer(by))
    assert answer.status_code == 200, answer.text
    return {it["email"]: it for it in answer.json()["items"]}


def problem(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text


@pytest.fixture
def joined(jane: Any, visitors: Callable[[], Any]) -> Callable[[str], Any]:
    """Somebody in Jane's workspace, in a role."""

    def join(role: str) -> Any:
        guest = visitors()
        assert invite(jane, guest.email, role).status_code == 201
        answer = accept(guest, token_in(guest.mailed(1)[-1]))
        assert answer.status_code == 201, answer.text
        guest.profile = answer.json()
        return guest

    return join


def test_somebody_is_invited_by_letter_and_joins(jane: Any, visitors: Any) -> None:
    """The link leads to where the settings say; whoever accepts sees their role."""
    guest = visitors()
    asked = invite(jane, f" {guest.email} ", "accountant", Host="evil.example")
    assert asked.status_code == 201, asked.text
    shown = asked.json()
    assert (shown["email"], shown["role"], shown["status"]) == (
        guest.email, "accountant", "invited"
    )  # fmt: skip
    assert shown["full_name"] is None
    assert listed(jane)[guest.email] == shown
    (letter,) = guest.mailed(1)
    link = f"{jane.house.settings.public_url}/accept-invitation#token="
    assert link in letter.get_content()
    assert "evil" not in letter.as_string()
    answer = accept(guest, token_in(letter))
    assert answer.status_code == 201, answer.text
    me = guest.me(guest.entered()).json()
    assert me["id"] == shown["id"] == answer.json()["id"]
    assert me["workspace"] == jane.profile["workspace"]
    assert me["role"] == "accountant"
    assert "payments:write" in me["permissions"]
    assert "workspace:write" not in me["permissions"]
    now = listed(jane)
    assert [it["status"] for it in now.values()] == ["active", "active"]
    assert now[jane.email]["role"] == "owner"
    assert now[guest.email]["full_name"] == "Gus Guest"
    assert "password" not in answer.text


def test_an_invitation_is_good_once(jane: Any, visitors: Any) -> None:
    """Row portal: single use, even when six arrive at once."""
    guest = visitors()
    invite(jane, guest.email)
    token = token_in(guest.mailed(1)[0])
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: accept(guest, token), range(6)))
    assert sorted(it.status_code for it in answers) == [201, *[422] * 5]
    problem(accept(guest, token), 422, "invitation_invalid")


def test_a_newer_letter_voids_the_older(jane: Any, visitors: Any) -> None:
    guest = visitors()
    first = invite(jane, guest.email, "auditor").json()
    old = token_in(guest.mailed(1)[0])
    again = invite(jane, guest.email.upper(), "member").json()
    assert again["id"] == first["id"]
    assert len([it for it in listed(jane).values() if it["status"] == "invited"]) == 1
    problem(accept(guest, old), 422, "invitation_invalid")
    guest.email = again["email"]  # as it was typed the second time
    assert accept(guest, token_in(guest.mailed(1)[0])).status_code == 201


def test_an_invitation_lasts_seventy_two_hours(jane: Any, visitors: Any, house: Any) -> None:
    guest = visitors()
    invite(jane, guest.email)
    token = token_in(guest.mailed(1)[0])
    house.clock.moved += timedelta(hours=72, seconds=5)
    problem(accept(guest, token), 422, "invitation_invalid")
    del jane.profile["access_token"]
    assert listed(jane)[guest.email]["status"] == "expired"
    again = invite(jane, guest.email)
    assert again.json()["status"] == "invited"
    assert accept(guest, token_in(guest.mailed(2)[1])).status_code == 201


def test_an_invitation_that_was_taken_back_is_void(jane: Any, visitors: Any) -> None:
    guest = visitors()
    made = invite(jane, guest.email).json()
    token = token_in(guest.mailed(1)[0])
    gone = jane.http.delete(f"{MEMBERS}/{made['id']}", headers=bearer(jane))
    assert gone.status_code == 204, gone.text
    assert guest.email not in listed(jane)
    problem(accept(guest, token), 422, "invitation_invalid")
    assert guest.login().status_code == 401


def test_an_address_with_an_account_belongs_to_one_workspace(jane: Any, visitors: Any) -> None:
    """Who invites is not told whether a stranger's address has an account."""
    other, stranger = visitors(), visitors()
    assert other.register().status_code == 201
    asked, unknown = invite(jane, other.email), invite(jane, stranger.email)
    assert asked.status_code == unknown.status_code == 201
    assert asked.json().keys() == unknown.json().keys()
    problem(accept(other, token_in(other.mailed(1)[0])), 409, "email_taken")
    problem(invite(jane, jane.email), 409, "already_member")


def test_a_member_who_is_removed_is_out_at_once(joined: Any, jane: Any) -> None:
    """Sessions end in the same commit, and the address is free again."""
    guest = joined("admin")
    tokens = guest.entered()
    before = jane.head()
    gone = jane.http.delete(f"{MEMBERS}/{guest.profile['id']}", headers=bearer(jane))
    assert gone.status_code == 204
    assert jane.head() > before
    assert guest.me(tokens).status_code == 401
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"name": "Acme"}
    assert guest.http.post("/api/clients", json=body, headers=headers).status_code == 401
    renewed = guest.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 401
    assert guest.login().status_code == 401
    assert guest.facts()[-1] == "AccountClosed"
    assert guest.email not in listed(jane)
    assert invite(jane, guest.email).status_code == 201
    assert guest.register().status_code == 201
    assert guest.profile["workspace"] != jane.profile["workspace"]


def test_another_role_holds_from_the_next_request_on(joined: Any, jane: Any) -> None:
    guest = joined("auditor")
    tokens = guest.entered()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    added = guest.http.post("/api/clients", json={"name": "Acme"}, headers=headers)
    problem(added, 403, "not_permitted")
    path = f"{MEMBERS}/{guest.profile['id']}"
    answer = jane.http.patch(path, json={"role": "member"}, headers=bearer(jane))
    assert answer.status_code == 200, answer.text
    assert answer.json()["role"] == "member"
    assert answer.headers["etag"]
    added = guest.http.post("/api/clients", json={"name": "Acme"}, headers=headers)
    assert added.status_code == 201, added.text
    assert guest.me(tokens).json()["role"] == "member"


def test_who_may_give_which_role(joined: Any, jane: Any, visitors: Any) -> None:
    """T3: nobody lifts themselves, and owners are made by owners."""
    admin, member, guest = joined("admin"), joined("member"), visitors()
    hers, theirs = bearer(admin), bearer(member)
    own = f"{MEMBERS}/{admin.profile['id']}"
    owner = f"{MEMBERS}/{jane.profile['id']}"
    before = jane.head()
    problem(admin.http.patch(own, json={"role": "member"}, headers=hers), 403, "own_role")
    problem(admin.http.patch(owner, json={"role": "member"}, headers=hers), 403, "owners_only")
    problem(admin.http.delete(owner, headers=hers), 403, "owners_only")
    body = {"email": guest.email, "role": "owner"}
    problem(admin.http.post(MEMBERS, json=body, headers=hers), 403, "owners_only")
    problem(jane.http.delete(owner, headers=bearer(jane)), 409, "last_owner")
    body = {"email": guest.email, "role": "member"}
    problem(member.http.post(MEMBERS, json=body, headers=theirs), 403, "not_permitted")
    assert member.http.get(MEMBERS, headers=theirs).status_code == 200
    assert jane.head() == before
    body = {"email": guest.email, "role": "admin"}
    assert admin.http.post(MEMBERS, json=body, headers=hers).status_code == 201


def test_an_owner_may_leave_when_another_stays(joined: Any, jane: Any) -> None:
    second = joined("owner")
    path = f"{MEMBERS}/{jane.profile['id']}"
    assert jane.http.delete(path, headers=bearer(jane)).status_code == 204
    assert jane.login().status_code == 401
    assert list(listed(second)) == [second.email]


def test_another_workspaces_members_are_not_there(joined: Any, visitors: Any) -> None:
    """T4."""
    guest, stranger = joined("member"), visitors()
    stranger.register()
    path, theirs = f"{MEMBERS}/{guest.profile['id']}", bearer(stranger)
    assert stranger.http.patch(path, json={"role": "admin"}, headers=theirs).status_code == 404
    assert stranger.http.delete(path, headers=theirs).status_code == 404
    assert list(listed(stranger)) == [stranger.email]


def test_a_repeated_invitation_under_one_key_is_one_letter(jane: Any, visitors: Any) -> None:
    """R-CMD-1."""
    guest, key = visitors(), uuid4().hex
    headers = {"Idempotency-Key": key, **bearer(jane)}
    body = {"email": guest.email, "role": "member"}
    first, again = (jane.http.post(MEMBERS, json=body, headers=headers) for _ in range(2))
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert accept(guest, token_in(guest.mailed(1)[0])).status_code == 201


def test_nobodys_mailbox_is_filled_with_invitations(jane: Any, visitors: Any) -> None:
    """Row notifications: five letters to an address, then each costs a wait."""
    guest, hers = visitors(), bearer(jane)
    body = {"email": guest.email, "role": "member"}
    answers = [jane.http.post(MEMBERS, json=body, headers=hers) for _ in range(7)]
    assert [it.status_code for it in answers[:5]] == [201] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "not an address", "role": "member"}, 422, "bad_email"),
        ({"email": "a@example.com", "role": "boss"}, 400, "bad_input"),
        ({"email": "a@example.com"}, 400, "bad_input"),
        ({"email": "a@example.com", "role": "member", "status": "active"}, 400, "bad_input"),
        ({"email": "a@example.com\r\nBcc: b@example.com", "role": "member"}, 422, "bad_email"),
    ],
)
def test_a_bad_invitation_changes_nothing(
    jane: Any, body: dict[str, Any], status: int, code: str
) -> None:
    hers = bearer(jane)
    before = jane.head()
    problem(jane.http.post(MEMBERS, json=body, headers=hers), status, code)
    assert jane.head() == before


@pytest.mark.parametrize("sent", ["", "x", "a.b.c.d", "é.1.2.3", "." * 400])
def test_what_we_did_not_seal_invites_nobody(visitor: Any, sent: str) -> None:
    """T14: tokens stand for one thing only."""
    before = visitor.head()
    problem(accept(visitor, sent), 422, "invitation_invalid")
    assert visitor.head() == before


def test_a_weak_password_does_not_use_the_invitation_up(jane: Any, visitors: Any) -> None:
    guest = visitors()
    invite(jane, guest.email)
    token = token_in(guest.mailed(1)[0])
    problem(accept(guest, token, password="passw0rd"), 422, "weak_password")
    problem(accept(guest, token, full_name=" \n "), 422, "bad_name")
    assert accept(guest, token).status_code == 201


def test_membership_as_it_was(joined: Any, jane: Any) -> None:
    guest = joined("member")
    hers = bearer(jane)
    then = jane.house.clock().isoformat()
    jane.http.delete(f"{MEMBERS}/{guest.profile['id']}", headers=hers)
    now = jane.http.get(MEMBERS, headers=hers).json()["items"]
    past = jane.http.get(MEMBERS, params={"as_of": then}, headers=hers).json()["items"]
    assert [it["email"] for it in now] == [jane.email]
    assert [it["email"] for it in past] == [jane.email, guest.email]
