"""The policies worker on a real journal: at least once, in order, never stuck, never lost."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from zeroinvoice.domain.workspace import WorkspaceOpened
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.refusals import Refused, Unavailable
from zeroinvoice.policies.policy import Action, Look
from zeroinvoice.policies.runner import Policies


class Greeter:
    """Greets every new workspace named after it; some cannot be greeted, as a test likes."""

    def __init__(self) -> None:
        self.name = f"policy:greeter-{uuid4().hex[:8]}"
        self.topics = frozenset({"WorkspaceOpened"})
        self.greeted: list[UUID] = []
        self.troubles: dict[UUID, Exception] = {}
        self.blind = False
        self.tried = 0

    async def react(self, fact: Fact, look: Look) -> list[Action]:
        if not isinstance(fact.event, WorkspaceOpened) or fact.event.settings.name != self.name:
            return []
        if self.blind:
            raise RuntimeError("this policy does not understand its fact")
        lasts = timedelta(hours=1)
        return [Action(fact.tenant.hex, fact.at + lasts, partial(self._greet, fact.tenant))]

    async def _greet(self, tenant: UUID) -> None:
        self.tried += 1
        if tenant in self.troubles:
            raise self.troubles[tenant]
        self.greeted.append(tenant)


@pytest.fixture
def greeter(house: Any) -> Iterator[Greeter]:
    house.clock.moved = timedelta()
    yield Greeter()
    house.clock.moved = timedelta()


def opened(house: Any, greeter: Greeter, many: int = 1) -> list[UUID]:
    """New workspaces that the greeter is to see."""
    offices = [house.office(name=greeter.name) for _ in range(many)]
    for office in offices:
        office.http.close()
    return [office.tenant for office in offices]


def checkpoint(house: Any, greeter: Greeter) -> tuple[int, str | None]:
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT position, error FROM checkpoints WHERE name = %s", [greeter.name]
        ).fetchone()
    return row or (0, None)


def position(house: Any, tenant: UUID) -> int:
    """Where in the journal the workspace was opened."""
    found: int = house.parts.journal.history(tenant, tenant)[0].position
    return found


def test_every_fact_is_answered_once_and_in_order(
    house: Any, following: Any, eventually: Any, greeter: Greeter
) -> None:
    before = opened(house, greeter, 3)
    with following(greeter):
        eventually(lambda: greeter.greeted == before)
        after = opened(house, greeter, 2)
        eventually(lambda: greeter.greeted == before + after)
        eventually(lambda: checkpoint(house, greeter)[0] >= position(house, after[-1]))
    with following(greeter):
        latest = opened(house, greeter)
        eventually(lambda: greeter.greeted == before + after + latest)


def test_of_several_processes_one_acts_and_the_next_takes_over(
    house: Any, following: Any, eventually: Any, greeter: Greeter
) -> None:
    tenants = opened(house, greeter, 2)
    with following(greeter):
        eventually(lambda: greeter.greeted == tenants)
        with following(greeter):
            tenants += opened(house, greeter, 2)
            eventually(lambda: greeter.greeted == tenants)
            eventually(lambda: checkpoint(house, greeter)[0] >= position(house, tenants[-1]))
            with psycopg.connect(house.database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity"
                    " USING (pid) WHERE locktype = 'advisory' AND granted"
                    " AND application_name = 'policy test'"
                )
            tenants += opened(house, greeter)
            eventually(lambda: greeter.greeted == tenants)


def test_what_cannot_be_done_now_waits_without_stopping_the_rest(
    house: Any, following: Any, eventually: Any, greeter: Greeter
) -> None:
    """The checkpoint stays before it, so nothing that happens to the process loses it."""
    first, *rest = opened(house, greeter, 3)
    greeter.troubles[first] = Unavailable("The mail server asks to come later.")
    with following(greeter):
        eventually(lambda: greeter.greeted == rest)
        assert checkpoint(house, greeter)[0] < position(house, first)
    with following(greeter):
        eventually(lambda: greeter.greeted == rest + rest)  # at least once, and now twice
        greeter.troubles.clear()
        eventually(lambda: greeter.greeted == [*rest, *rest, first])
        eventually(lambda: checkpoint(house, greeter)[0] >= position(house, rest[-1]))


@pytest.mark.parametrize("trouble", [Refused("Nobody lives there."), KeyError("a fault of ours")])
def test_what_will_never_be_done_is_left_behind(
    house: Any, following: Any, eventually: Any, greeter: Greeter, trouble: Exception
) -> None:
    """A refusal at once; a fault of ours when its time is over, since it may be mended."""
    first, second = opened(house, greeter, 2)
    greeter.troubles[first] = trouble
    with following(greeter):
        eventually(lambda: greeter.greeted == [second])
        if not isinstance(trouble, Refused):
            assert checkpoint(house, greeter)[0] < position(house, first)
            house.clock.moved += timedelta(hours=2)
        eventually(lambda: checkpoint(house, greeter)[0] >= position(house, second))
    assert greeter.greeted == [second]


def test_what_is_too_late_is_not_done(
    house: Any, following: Any, eventually: Any, greeter: Greeter
) -> None:
    """A letter older than its token's life would only confuse."""
    opened(house, greeter)
    house.clock.moved += timedelta(hours=1, minutes=1)
    fresh = opened(house, greeter)
    with following(greeter):
        eventually(lambda: greeter.greeted == fresh)
    assert greeter.tried == 1


def test_a_policy_that_fails_halts_aloud_and_goes_on_when_it_is_mended(
    house: Any, following: Any, eventually: Any, greeter: Greeter
) -> None:
    (tenant,) = opened(house, greeter)
    greeter.blind = True
    with following(greeter):
        eventually(lambda: "RuntimeError" in (checkpoint(house, greeter)[1] or ""))
        greeter.blind = False
        eventually(lambda: greeter.greeted == [tenant])
        eventually(lambda: checkpoint(house, greeter)[0] >= position(house, tenant))
        assert checkpoint(house, greeter)[1] is None


def test_idempotency_keys_are_forgotten_after_three_days(
    house: Any, office: Any, eventually: Any
) -> None:
    """R-CMD-1: kept 72 h; after that a key means a new request."""
    body = {"name": "Acme Corp"}
    key = {"Idempotency-Key": uuid4().hex}
    first = office.post("/api/clients", json=body, headers=key).json()["id"]
    assert office.post("/api/clients", json=body, headers=key).json()["id"] == first
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        connection.execute("UPDATE answers SET at = at - interval '73 hours'")
    tidying = Policies(house.settings, house.database_url, house.clock)
    thread = threading.Thread(target=tidying.run)
    thread.start()
    try:
        with psycopg.connect(house.database_url, autocommit=True) as connection:
            old = "SELECT count(*) FROM answers WHERE at < now() - interval '72 hours'"
            eventually(lambda: connection.execute(old).fetchone() == (0,))
    finally:
        tidying.stop()
        thread.join(10)
    assert office.post("/api/clients", json=body, headers=key).json()["id"] != first
