"""Activity over HTTP: what has been read, what other systems tell, and who listens."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest


def feed(office: Any) -> dict[str, Any]:
    answer = office.get("/api/activity", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def items(office: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = feed(office)["items"]
    return found


def verbs(office: Any) -> list[str]:
    return [it["verb"] for it in items(office)]


@pytest.fixture
def program(office: Any) -> Any:
    """Asks with an API key that may read the feed and clients."""
    asked = {"name": "Dashboard", "permissions": ["activity:read", "clients:read", "clients:write"]}
    token = office.made("/api/workspace/api-keys", asked)["token"]
    with httpx.Client(base_url=office.house.url, headers={"X-API-Key": token}) as http:
        yield http


# What was read


def test_everybody_has_a_marker_of_their_own(office: Any, shop: Any) -> None:
    """A26-7: what others did since is unread; what one did oneself is not."""
    shop.client()
    body = feed(office)
    assert (body["read_up_to"], body["unread"]) == (0, 1)  # the client, by the house itself
    last = body["items"][0]["id"]
    answer = office.put("/api/activity/marker", json={"position": last})
    assert answer.json() == {"read_up_to": last}
    assert (feed(office)["read_up_to"], feed(office)["unread"]) == (last, 0)
    shop.client()
    assert feed(office)["unread"] == 1
    office.made("/api/clients", {"name": "Mine"})
    assert feed(office)["unread"] == 1
    assert "activity_marked" not in verbs(office)


def test_what_has_been_read_stays_read(office: Any, shop: Any) -> None:
    """A26-7: a marker only moves forward, and only to where something is."""
    shop.client()
    newest, oldest = (items(office)[place]["id"] for place in (0, -1))
    for position in (newest, oldest):
        answer = office.put("/api/activity/marker", json={"position": position})
        assert answer.json() == {"read_up_to": newest}
    assert "x-position" not in answer.headers
    shop.problem(
        office.put("/api/activity/marker", json={"position": newest + 10**6}),
        422,
        "unknown_position",
    )
    for bad in (0, -1, 2**70, "x", None, 1.5):
        answer = office.put("/api/activity/marker", json={"position": bad})
        assert answer.status_code == 400, (bad, answer.text)


def test_a_position_of_another_workspace_is_none(house: Any, office: Any, shop: Any) -> None:
    """T4."""
    theirs = items(house.office())[0]["id"]
    answer = office.put("/api/activity/marker", json={"position": theirs})
    shop.problem(answer, 422, "unknown_position")


# What others tell


def test_what_another_system_tells_is_noted_on_what_is_there(office: Any, shop: Any) -> None:
    """A26-3: 200 with the existing activity; nothing is made, and it is noted once."""
    invoice_id = shop.invoice(shop.client())
    path, facts = "/api/activity/track/invoice-created", len(office.facts(invoice_id))
    before = verbs(office)
    asked = {"id": invoice_id, "source": "shop", "note": "Order 4711"}
    first = office.post(path, json=asked)
    assert first.status_code == 200, first.text
    told = first.json()
    assert (told["verb"], told["subject"]["id"]) == ("invoice_created", invoice_id)
    assert told["told"]["source"] == "shop"
    assert told["told"]["note"] == "Order 4711"
    assert told["told"]["marked"] == "client"
    again = office.post(path, json={**asked, "source": "crm"})
    assert again.status_code == 200
    assert again.json() == told
    assert "x-position" not in again.headers
    assert verbs(office) == before
    assert next(it for it in items(office) if it["id"] == told["id"]) == told
    assert len(office.facts(invoice_id)) == facts


def test_a_payment_that_was_told_of_is_the_one_on_record(office: Any, shop: Any) -> None:
    """A26-3."""
    paid = shop.paid(amount="5.00", client_id=shop.client())
    answer = office.post("/api/activity/track/payment-received", json={"id": paid["id"]})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["verb"], told["subject"]["id"]) == ("payment_received", paid["id"])
    assert next(it for it in items(office) if it["id"] == told["id"]) == told
    german = office.post(
        "/api/activity/track/payment-received",
        json={"id": paid["id"]},
        headers={"Accept-Language": "de"},
    )
    assert "hat eine Zahlung über 5,00 USD von Acme Corp erfasst" in german.json()["text"]


def test_nothing_can_be_told_of_what_is_not_there(house: Any, office: Any, shop: Any) -> None:
    """A26-3: 404, and no invoice or payment comes of it."""
    client_id = shop.client()
    draft = shop.draft(client_id)
    office.delete(f"/api/invoices/{draft}")
    paid = shop.paid(amount="5.00", client_id=client_id)
    other = house.office()
    head = items(office)[0]["id"]
    for path, id in [
        ("invoice-created", str(uuid4())),
        ("invoice-created", draft),
        ("invoice-created", paid["id"]),
        ("payment-received", client_id),
    ]:
        answer = office.post(f"/api/activity/track/{path}", json={"id": id})
        shop.problem(answer, 404, "not_found")
    theirs = other.post("/api/activity/track/payment-received", json={"id": paid["id"]})
    shop.problem(theirs, 404, "not_found")
    assert items(office)[0]["id"] == head
    long = {"id": paid["id"], "source": "x" * 256}
    assert office.post("/api/activity/track/payment-received", json=long).status_code == 422
    more = {"id": paid["id"], "actor_id": str(uuid4())}
    assert office.post("/api/activity/track/payment-received", json=more).status_code == 400


# The live stream


def test_the_live_connections_are_counted_truly(house: Any, office: Any) -> None:
    """A26-4: one's own workspace's, and nobody's name."""
    path = "/api/activity/ws-stats"
    none = office.get(path).json()
    assert (none["connections"], none["yours"], none["users"]) == (0, 0, 0)
    assert (none["messages_sent"], none["messages_dropped"]) == (0, 0)
    assert none["oldest_connection_at"] is None
    assert none["uptime_seconds"] >= 0
    assert none["lag"] >= 0


def test_who_enters_the_register_is_counted(house: Any, office: Any) -> None:
    """A26-4: the numbers are those of the register that live connections enter."""
    parts = house.app._app.dependencies["parts"].dependency()
    mine = parts.connections.enter(office.tenant, office.user)
    theirs = parts.connections.enter(office.tenant, uuid4())
    elsewhere = parts.connections.enter(uuid4(), uuid4())
    parts.connections.note(office.tenant, sent=5, dropped=1)
    try:
        stats = office.get("/api/activity/ws-stats").json()
    finally:
        for id in (mine, theirs, elsewhere):
            parts.connections.leave(id)
    assert (stats["connections"], stats["yours"], stats["users"]) == (2, 1, 2)
    assert (stats["messages_sent"], stats["messages_dropped"]) == (5, 1)
    assert stats["oldest_connection_at"] is not None
    assert str(office.user) not in str(stats)
    assert office.get("/api/activity/ws-stats").json()["connections"] == 0


# Who does, and who asks


def test_somebody_is_told_of_by_their_name(jane: Any) -> None:
    """A26-1: as they are called today."""
    bearer = {"Authorization": f"Bearer {jane.entered()['access_token']}"}
    made = jane.http.post("/api/clients", json={"name": "Acme"}, headers=bearer)
    assert made.status_code == 201, made.text
    latest = jane.http.get("/api/activity", headers=bearer).json()["items"][0]
    assert latest["actor"]["name"] == "Jane Dev"
    assert latest["text"] == "Jane Dev added Acme"


def test_a_program_acts_under_its_own_name_and_reads_nothing(office: Any, program: Any) -> None:
    """A26-7: a marker is a person's."""
    made = program.post("/api/clients", json={"name": "Acme"})
    assert made.status_code == 201, made.text
    body = program.get("/api/activity").json()
    assert body["items"][0]["actor"]["type"] == "api_key"
    assert body["items"][0]["text"] == "Dashboard added Acme"
    assert (body["read_up_to"], body["unread"]) == (None, None)
    assert program.get("/api/activity/ws-stats").json()["yours"] == 0
    position = body["items"][0]["id"]
    refused = program.put("/api/activity/marker", json={"position": position})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


def test_a_name_that_was_erased_is_told_no_more(office: Any, shop: Any) -> None:
    """A26-6: wherever the facts have nothing but its mark, the feed has nobody."""
    client_id = shop.client()
    paid = shop.paid(amount="5.00", client_id=client_id)
    office.put(f"/api/clients/{client_id}", json={"name": "[erased]"})
    told = next(it for it in items(office) if it["subject"]["id"] == paid["id"])
    assert told["object"]["label"] is None
    assert "from (deleted client)" in told["text"]


def test_telling_again_with_the_same_key_is_answered_alike(office: Any, shop: Any) -> None:
    """R-CMD-1."""
    invoice_id = shop.invoice(shop.client())
    path, body = "/api/activity/track/invoice-created", {"id": invoice_id, "source": "shop"}
    first, again = (
        office.post(path, json=body, headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert UUID(first.json()["subject"]["id"]) == UUID(invoice_id)
