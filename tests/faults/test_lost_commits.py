"""The answer to COMMIT is lost: what happened is found out, and nobody hears a falsehood."""

import random
from typing import Any

from checks import everything_holds
from operations import prepared
from proxy import Proxy
from records import Records
from rounds import send

LOST = 100


def test_of_100_lost_answers_to_commit_each_resolves_to_one_effect(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G2: 100 of 100; each is answered as it happened, without the client's asking again."""
    installation = install()
    with Proxy(installation.postgres_port()) as proxy:
        installation.start_by_hand("api", database=installation.over_tcp(proxy.port))
        installation.start_by_hand("work", "policies")
        office = open_office(installation)
        attempts = [it for it in prepared(office, rng, LOST * 2) if it.operation.effect][:LOST]
        proxy.whose, proxy.fault = "zeroinvoice committer", "drop commit"
        for it in attempts:
            before = proxy.fired
            send(office, [it], threads=1)
            assert proxy.fired > before, "the proxy dropped no answer to the committer"
        proxy.fault = ""
        outcomes = [it.outcome for it in attempts]
        everything_holds(installation.database(), office, attempts, Records())
    assert outcomes == ["acked"] * LOST


def test_lost_answers_among_many_writers_lose_and_double_nothing(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G2, G15: whole batches of commands whose commit is not answered, without a pause."""
    installation = install()
    with Proxy(installation.postgres_port()) as proxy:
        installation.start_by_hand("api", database=installation.over_tcp(proxy.port))
        installation.start_by_hand("work", "policies")
        office = open_office(installation)
        attempts = prepared(office, rng, 400)
        proxy.whose, proxy.fault = "zeroinvoice committer", "drop commit"
        send(office, attempts)
        proxy.fault = ""
        assert proxy.fired >= 10
        assert not [it for it in attempts if it.outcome == "unknown"]
        everything_holds(installation.database(), office, attempts, Records())
