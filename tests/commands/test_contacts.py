"""Contacts over HTTP: one primary contact, one e-mail address each, and nobody else's."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from zeroinvoice.domain.contact_book import contact_book_of


class Desk:
    """A client of an office, and its contacts."""

    def __init__(self, office: Any, **client: Any) -> None:
        self.office = office
        self.client = office.made("/api/clients", {"name": "Acme Corp", **client})["id"]
        self.path = f"/api/customers/{self.client}/contacts"

    def add(self, first_name: str | None = "Ann", **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.office.made(self.path, {"first_name": first_name, **more})
        return made

    def show(self, contact: dict[str, Any], **query: Any) -> Any:
        return self.office.get(f"{self.path}/{contact['id']}", params=query)

    def revise(self, contact: dict[str, Any], **changes: Any) -> Any:
        return self.office.put(f"{self.path}/{contact['id']}", json=changes)

    def choose(self, contact: dict[str, Any], **headers: str) -> Any:
        return self.office.patch(f"{self.path}/{contact['id']}/primary", headers=headers)

    def remove(self, contact: dict[str, Any]) -> Any:
        return self.office.delete(f"{self.path}/{contact['id']}")

    def primary(self) -> list[str]:
        items = self.office.get(self.path).json()["items"]
        return [it["id"] for it in items if it["is_primary"]]

    def story(self) -> list[str]:
        book = contact_book_of(self.office.tenant, UUID(self.client))
        return [type(fact.event).__name__ for fact in self.office.facts(book)]


@pytest.fixture
def desk(office: Any) -> Desk:
    return Desk(office)


@pytest.fixture
def desk_in() -> type[Desk]:
    return Desk


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    return body


def test_a_contact_is_added_with_all_its_fields_and_read_back(desk: Desk) -> None:
    """A5-1."""
    body = {
        "first_name": "Ann",
        "last_name": "Lee",
        "email": "Ann@Acme.example",
        "phone": "+49 30 901820",
        "mobile": "0170 123",
        "role": "CFO",
        "department": "Finance",
        "locale": "de-DE",
        "receives": {"invoices": True, "estimates": False, "reminders": True, "statements": False},
        "cc_mode": "cc",
        "portal_enabled": True,
        "is_primary": True,
        "notes": "Calls back.",
    }
    made = desk.add(**body)
    assert {name: made[name] for name in body} == body
    assert (made["phone_e164"], made["mobile_e164"]) == ("+4930901820", None)
    read = desk.show(made)
    assert read.json() == made
    assert read.headers["etag"] == '"1"'
    assert desk.office.get(f"{desk.path}/{made['id']}/").json() == made
    (item,) = desk.office.get(desk.path).json()["items"]
    assert item == {**made, "deleted": False}


def test_a_telephone_is_read_as_in_the_clients_country(office: Any, desk_in: Any) -> None:
    """A5-1, as rule 1 of clients has it."""
    desk = desk_in(office, country="DE")
    made = desk.add(phone="030 901820", mobile="0170 1234567")
    assert (made["phone_e164"], made["mobile_e164"]) == ("+4930901820", "+491701234567")
    assert desk.revise(made, phone=None).json()["phone_e164"] is None


def test_what_is_not_said_of_a_contact(desk: Desk) -> None:
    """A5-1: whoever is added is written to; `receives` may be given in part."""
    made = desk.add(receives={"statements": False})
    kinds = {"invoices": True, "estimates": True, "reminders": True, "statements": False}
    assert made["receives"] == kinds
    assert (made["cc_mode"], made["portal_enabled"], made["email"]) == ("to", False, None)
    changed = desk.revise(made, receives={"invoices": False}, cc_mode="bcc").json()
    assert changed["receives"] == {**kinds, "invoices": False}
    assert changed["cc_mode"] == "bcc"
    plain = desk.revise(made, receives=None, cc_mode=None, first_name=None, email="a@b.example")
    assert plain.json()["receives"]["invoices"] is True
    assert (plain.json()["cc_mode"], plain.json()["first_name"]) == ("to", None)


def test_the_first_contact_is_the_primary_one_and_there_is_always_one(desk: Desk) -> None:
    """A5-2."""
    ann, bob = desk.add("Ann"), desk.add("Bob")
    assert (ann["is_primary"], bob["is_primary"]) == (True, False)
    assert desk.choose(bob).json()["is_primary"] is True
    assert desk.show(ann).json()["is_primary"] is False
    assert desk.primary() == [bob["id"]]
    assert desk.story()[2:] == ["PrimaryContactChosen"]  # in one event
    cy = desk.add("Cy", is_primary=True)
    assert desk.primary() == [cy["id"]]
    assert desk.revise(ann, is_primary=True).json()["is_primary"] is True
    assert desk.primary() == [ann["id"]]
    problem(desk.revise(ann, is_primary=False), 409, "primary_needed")
    assert desk.choose(ann).status_code == 200  # nothing to do is no error
    assert desk.story()[4:] == ["PrimaryContactChosen"]


def test_removing_the_primary_one_promotes_the_oldest_and_says_so(desk: Desk) -> None:
    """A5-2."""
    ann, bob, cy = desk.add("Ann"), desk.add("Bob"), desk.add("Cy")
    assert desk.remove(ann).json() == {
        "id": ann["id"],
        "promoted": True,
        "primary_contact_id": bob["id"],
    }
    assert desk.primary() == [bob["id"]]
    kept = desk.remove(cy).json()
    assert (kept["promoted"], kept["primary_contact_id"]) == (False, bob["id"])
    last = desk.remove(bob).json()
    assert (last["promoted"], last["primary_contact_id"]) == (False, None)
    assert desk.primary() == []
    assert desk.add("Dee")["is_primary"] is True


def test_a_removed_contact_is_gone_from_lists_and_stays_in_history(desk: Desk) -> None:
    """A5-5: its name and address are in the journal, and in the list for those who ask."""
    ann = desk.add("Ann", email="ann@acme.example")
    assert desk.remove(ann).status_code == 200
    problem(desk.show(ann), 404, "not_found")
    for answer in (desk.remove(ann), desk.choose(ann), desk.revise(ann, role="x")):
        problem(answer, 404, "not_found")
    assert desk.office.get(desk.path).json()["items"] == []
    (item,) = desk.office.get(desk.path, params={"include_deleted": True}).json()["items"]
    assert (item["email"], item["deleted"], item["is_primary"]) == ("ann@acme.example", True, False)


def test_an_address_stands_once_at_a_client_and_may_stand_at_another(
    office: Any, desk_in: Any
) -> None:
    """A5-3: whatever the case."""
    desk, other = desk_in(office), desk_in(office)
    ann, bob = desk.add("Ann", email="ann@acme.example"), desk.add("Bob")
    taken = office.post(desk.path, json={"email": "ANN@acme.example"})
    assert problem(taken, 409, "email_taken")["contact_id"] == ann["id"]
    problem(desk.revise(bob, email="Ann@Acme.example"), 409, "email_taken")
    assert desk.revise(ann, email="Ann@Acme.example").status_code == 200
    assert other.add("Ann", email="ann@acme.example")["is_primary"] is True
    assert desk.story() == ["ContactAdded", "ContactAdded", "ContactRevised"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "contact_unnamed"),
        ({"first_name": "  ", "email": ""}, 422, "contact_unnamed"),
        ({"first_name": "A", "email": "nobody"}, 422, "bad_email"),
        ({"first_name": "A", "locale": "de_DE"}, 422, "bad_language"),
        ({"first_name": "x" * 101}, 422, "text_too_long"),
        ({"first_name": "A", "cc_mode": "reply"}, 400, "bad_input"),
        ({"first_name": "A", "receives": {"letters": True}}, 400, "bad_input"),
        ({"first_name": "A", "receives": []}, 400, "bad_input"),
        ({"first_name": "A", "is_primary": None}, 400, "bad_input"),
        ({"first_name": "A", "id": str(uuid4())}, 400, "bad_input"),
        ({"first_name": "A\u0000"}, 400, "bad_input"),
    ],
)
def test_bad_input_changes_nothing(
    desk: Desk, body: dict[str, Any], status: int, code: str
) -> None:
    problem(desk.office.post(desk.path, json=body), status, code)
    assert desk.story() == []
    assert desk.office.get(desk.path).json()["items"] == []


def test_a_refused_revision_changes_nothing(desk: Desk) -> None:
    ann = desk.add("Ann")
    problem(desk.revise(ann, first_name=None), 422, "contact_unnamed")
    assert desk.show(ann).json() == ann


def test_ids_of_others_are_not_there(desk: Desk, house: Any, desk_in: Any) -> None:
    """T4: another workspace's, and another client's of the same one."""
    ann = desk.add("Ann")
    foreign, sibling = desk_in(house.office()), desk_in(desk.office)
    problem(foreign.office.get(desk.path), 404, "not_found")
    problem(foreign.office.post(desk.path, json={"first_name": "Eve"}), 404, "not_found")
    paths: list[tuple[Any, str]] = [
        (foreign.office, f"{desk.path}/{ann['id']}"),
        (foreign.office, f"{foreign.path}/{ann['id']}"),
        (desk.office, f"{sibling.path}/{ann['id']}"),
        (desk.office, f"/api/customers/{uuid4()}/contacts/{ann['id']}"),
    ]
    for office, path in paths:
        for answer in (
            office.get(path),
            office.put(path, json={"first_name": "Eve"}),
            office.patch(f"{path}/primary"),
            office.delete(path),
        ):
            problem(answer, 404, "not_found")
    assert desk.show(ann).json() == ann
    assert desk.story() == ["ContactAdded"]


def test_a_deleted_clients_contacts_are_not_there(desk: Desk) -> None:
    """A5-6."""
    ann = desk.add("Ann")
    assert desk.office.delete(f"/api/clients/{desk.client}").status_code == 204
    for answer in (
        desk.office.get(desk.path),
        desk.show(ann),
        desk.revise(ann, role="x"),
        desk.remove(ann),
        desk.office.post(desk.path, json={"first_name": "Bob"}),
    ):
        problem(answer, 404, "not_found")
    assert desk.story() == ["ContactAdded"]


def test_a_later_change_of_an_address_leaves_the_past_as_it_was(desk: Desk) -> None:
    """A5-7 and R-CMD-8: what was on record then is what is shown of then."""
    ann = desk.add("Ann", email="ann@acme.example")
    then = desk.office.facts(contact_book_of(desk.office.tenant, UUID(desk.client)))[0].at
    desk.revise(ann, email="lee@acme.example")
    assert desk.show(ann, as_of=then.isoformat()).json() == ann
    assert desk.show(ann).json()["email"] == "lee@acme.example"
    bob = desk.add("Bob")
    problem(desk.show(bob, as_of=then.isoformat()), 404, "not_found")
    problem(desk.show(ann, as_of="2020-01-01T00:00:00Z"), 404, "not_found")


def test_the_version_is_that_of_the_whole_book(desk: Desk) -> None:
    """R-CMD-2: who chooses a primary contact has seen all of them."""
    ann = desk.add("Ann")
    bob = desk.add("Bob")
    assert bob["version"] == desk.show(ann).json()["version"] == 2
    stale = desk.choose(bob, **{"If-Match": '"1"'})
    assert problem(stale, 412, "stale")
    assert stale.headers["etag"] == '"2"'
    done = desk.choose(bob, **{"If-Match": '"2"'})
    assert (done.status_code, done.headers["etag"]) == (200, '"3"')
    again = desk.office.get(f"{desk.path}/{bob['id']}", headers={"If-None-Match": '"3"'})
    assert again.status_code == 304
    assert {it["version"] for it in desk.office.get(desk.path).json()["items"]} == {3}


def test_a_key_gives_the_first_answer_again(desk: Desk) -> None:
    """R-CMD-1."""
    key, body = {"Idempotency-Key": uuid4().hex}, {"first_name": "Ann"}
    first = desk.office.post(desk.path, json=body, headers=key)
    again = desk.office.post(desk.path, json=body, headers=key)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    removing = {"Idempotency-Key": uuid4().hex}
    path = f"{desk.path}/{first.json()['id']}"
    answers = [desk.office.delete(path, headers=removing).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert desk.story() == ["ContactAdded", "ContactRemoved"]


def test_of_many_that_come_at_once_one_becomes_the_primary_contact(desk: Desk) -> None:
    """A5-2 and A5-3, however many ask at the same time."""
    bodies = [{"first_name": f"N{n}", "email": f"n{n % 10}@acme.example"} for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda body: desk.office.post(desk.path, json=body).status_code, bodies)
    assert sorted(answers) == [201] * 10 + [409] * 10
    assert len(desk.primary()) == 1
