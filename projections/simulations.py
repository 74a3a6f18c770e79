"""Simulations: the workspace's history told again with something in it changed, and compared."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore
from uuid import UUID

from litestar.params import JSONBody

from projections.client_ledger import replayed
from projections.simulation_figures import Side, by_client, by_document, in_all
from projections.simulation_view import Simulation
from zeroinvoice.domain.history import TOPICS, History
from zeroinvoice.domain.retelling import retell
from zeroinvoice.domain.supposing import Change, Supposed
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import ask
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.desk import LARGEST
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.refusals import BadInput, Invalid, Missing, Throttled
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import passed

MOST_FACTS = 20_000  # that one request replays; of longer histories the command line does
MOST_BY_HAND = 200_000  # that the command line replays, in about a gigabyte
TURNS = BoundedSemaphore(2)  # at once in a process: they take time from everybody else in it
MOST_LISTED = 500  # clients, documents and conflicts that are shown, of each
LAST = (1 << 62) - 1  # a position that no journal reaches

Read = Callable[[int, int], list[Fact]]  # the facts up to a position, at most so many


class Simulate(Value, kw_only=True, forbid_unknown_fields=True):
    """What would be different, and up to when: an instant, or a fact by its `seq`.

    A fact stands for all that was recorded together with it.
    """

    changes: tuple[Change, ...] = ()
    until: datetime | int | None = None  # default: now


# Queries


def simulated(asked: Simulate, tenant: UUID, read: Read, now: datetime, most: int) -> Simulation:
    """Fold what happened, and what would have, and set both side by side. Nothing is written.

    Raises `BadInput` for an `until` that is none, `Missing` before there was a workspace,
    `Invalid` `journal_too_long` beyond `most` facts, and what `Supposed.of` raises.
    """
    facts, until = _told(asked, read, now, most)
    past = History.after(facts)
    then = retell(facts, past, Supposed.of(asked.changes, past))
    zone = past.find(Workspace, tenant).settings.time_zone
    day = local_day(until, zone)
    actual = Side.of(past, replayed(facts, zone), day)
    other = Side.of(then.history, replayed(then.facts, zone), day)
    clients, documents = by_client(actual, other, day), by_document(past, then.history, day)
    return Simulation(
        position=facts[-1].position,
        until=until,
        day=day,
        facts=len(facts),
        by_currency=in_all(actual, other, day),
        clients=clients[:MOST_LISTED],
        clients_left_off=max(0, len(clients) - MOST_LISTED),
        documents=documents[:MOST_LISTED],
        documents_left_off=max(0, len(documents) - MOST_LISTED),
        conflicts=then.conflicts[:MOST_LISTED],
        conflicts_left_off=max(0, len(then.conflicts) - MOST_LISTED),
    )


def _told(asked: Simulate, read: Read, now: datetime, most: int) -> tuple[list[Fact], datetime]:
    """The facts that are to be replayed, and the instant they lead up to."""
    until = asked.until if asked.until is not None else now
    if isinstance(until, int) and not 0 < until <= LAST:
        raise BadInput("A position is 1 or more.", pointer="/until")
    if isinstance(until, datetime):
        until = passed(until, now, "until", "/until")
    facts = read(until + LARGEST if isinstance(until, int) else LAST, most + LARGEST)
    facts = facts[: _end(facts, until)]
    if len(facts) > most:
        raise Invalid(
            f"There are more than {most} facts to replay; name an earlier one, or replay them "
            "with `zeroinvoice journal replay`.",
            code="journal_too_long",
            most=most,
        )
    if not facts:
        raise Missing("There was no such workspace then.")
    return facts, until if isinstance(until, datetime) else facts[-1].at


def _end(facts: list[Fact], until: datetime | int) -> int:
    """How many of the facts are told: up to the last one by then, with all of its command."""

    def by_then(it: Fact) -> bool:
        return it.position <= until if isinstance(until, int) else it.at <= until

    end = next((n for n in range(len(facts), 0, -1) if by_then(facts[n - 1])), 0)
    last = facts[end - 1].origin.request if end else None
    while end < len(facts) and facts[end].origin.request == last:
        end += 1
    return end


# Routes


@contextmanager
def _turn() -> Iterator[None]:
    """Be one of the few that are replayed now. Raises `Throttled` when there are enough."""
    if not TURNS.acquire(blocking=False):
        raise Throttled("Other histories are being replayed; try again.", retry_after=2)
    try:
        yield
    finally:
        TURNS.release()


@ask("/simulate", may="audit:read")
def simulate(data: JSONBody[Simulate], reader: Reading) -> Simulation:
    """Replay the workspace's history with some of it changed, and tell what would differ.

    Nothing is written. A change is another rate of a tax from a day on, a payment left out, or
    other terms; of several that fit, the last one counts. Reading invoices must be permitted,
    too. What was decided stays so as far as it still could be, and the rest is a conflict.
    """
    reader.needs("invoices:read")
    if reader.as_of is not None:
        raise BadInput("Say until when in the body.", pointer="?as_of")
    read = partial(reader.facts, TOPICS)
    with _turn():
        return simulated(data, reader.tenant, read, reader.now, MOST_FACTS)


routes = [simulate]
