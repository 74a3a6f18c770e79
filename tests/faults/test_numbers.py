"""Numbers without gaps: many issuers in many processes, what is rolled back, what is killed."""

import random
import time
from decimal import Decimal
from typing import Any

from barriers import wait_for
from checks import money, numbers, resolve, settled, whole
from figures import say
from offices import at_once, meanwhile
from operations import TABLE, Attempt, draft
from records import Records

ISSUERS, EACH, TENANTS, KILLS = 8, 250, 3, 5
ROLLED_BACK = 0.2  # of all issues, refused after they have taken a number

SEND = next(it for it in TABLE if it.name == "send invoice")


def test_2000_issues_over_three_tenants_leave_no_gap(
    installation: Any, open_office: Any, rng: random.Random
) -> None:
    """G11: 8 at once, a fifth rolled back in the midst of the decision, 5 kill -9."""
    offices = [open_office(installation, f"Numbers {n}") for n in range(TENANTS)]
    for office in offices:  # who would owe too much is refused when the number is already taken
        office.limit(office.clients[0], Decimal(1))
    attempts: list[tuple[Any, Attempt]] = []
    for office in offices:
        count = ISSUERS * EACH // TENANTS + 1
        needs = office.decide([_draft(office, rng) for _ in range(count)])
        attempts += [
            (office, Attempt(SEND, need, rng.randbytes(16).hex(), office.email)) for need in needs
        ]
    rng.shuffle(attempts)
    kills = 0

    def strike() -> None:
        nonlocal kills
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.2, 0.6))
            wait_for(lambda: installation.kill("api", rng), "a process to kill")
            kills += 1

    acts = [lambda http, office=office, it=it: _send(http, office, it) for office, it in attempts]
    with meanwhile(strike):
        at_once(acts, offices[0], ISSUERS)
    assert kills == KILLS
    installation.healthy_again()
    for office in offices:
        resolve(office, [it for of, it in attempts if of is office and it.outcome == "unknown"])
    outcomes = [it.outcome for _, it in attempts]
    refused = [it.answer.json()["code"] for _, it in attempts if it.outcome == "refused"]
    records, url = Records().read(installation.database()), installation.database()
    for _, it in attempts:
        assert it.operation.effects(records.marked[it.mark]) == (it.outcome == "acked")
    settled(url)
    numbers(records)
    money(records, url)
    assert whole(url) == records.position
    given = [records.states[it.need] for _, it in attempts if it.outcome == "acked"]
    assert all(it.number for it in given)
    assert set(refused) == {"credit_limit_exceeded"}
    assert len(refused) > 0.1 * len(attempts)
    say(f"{outcomes.count('acked')} issued, {len(refused)} rolled back, {kills} kills")


def _draft(office: Any, rng: random.Random) -> Any:
    """A draft for a client, at times for the one who may owe nothing more."""
    clients = office.clients
    client = clients[0] if rng.random() < ROLLED_BACK else rng.choice(clients[1:])
    return lambda desk: draft(desk, office, client)


def _send(http: Any, office: Any, it: Attempt) -> None:
    http.headers.update(office.headers)
    it.carry_out(http, office.journal)
