"""The measures: what is compared with what, and which ratio is enough.

Ours join a contest by one more entry in what it yields, under the name its rows already use.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from uuid import UUID

import asking
import ledger
import library
import ours
import pgbench
import psycopg
import reading
import umadb_store
from bodies import BARE_ROWS, invoice
from cluster import database
from contests import Bench, Contestants, Row, Sample, Turn, registry
from load import Requests, drive, request
from ours import SENT, Service, service
from processes import apart
from serving import SERVERS, serving

from zeroinvoice.app import READERS
from zeroinvoice.journal.schema import migrate

CLIENT = UUID("0190d6f4-7c1e-7a3b-9c55-3f2b8d1e6a70")
BARE = "yardstick_app:app"
ONES = 2_000  # invoices that are read by themselves, in turn
APPLIED_PER_S = 100  # credits of one client made beforehand for each second; all are open at first
SENDS_PER_S = 1_200  # drafts made beforehand for each second a turn should take


def loaded(
    bench: Bench,
    port: int,
    requests: Requests,
    expected: Sequence[int],
    connections: int = 64,
) -> Turn:
    """A turn that drives a server for the bench's seconds and accepts only these statuses."""

    def turn() -> Sample:
        warm_for = min(1.0, bench.seconds / 4)
        seen = drive(
            port, requests, connections=connections, seconds=bench.seconds, warm_for=warm_for
        )
        return Sample.of(seen.only(*expected))

    return turn


@registry.contest(
    Row("create an invoice, against three rows inserted", "create", "insert", bar=1.2),
    Row("create an invoice, against the body echoed", "create", "echo", bar=0.25),
    Row(
        "create, projectors and policies at work beside it, against three rows inserted",
        "create_whole",
        "insert",
    ),
    Row("send an invoice in one series, against creating it", "send", "create", bar=0.5),
    Row("apply a credit to an invoice, against creating one", "apply", "create"),
)
def writes(bench: Bench) -> Iterator[Contestants]:
    """Requests/s at 64 connections, two processes a server."""
    url = database(bench.url, "bare")
    with psycopg.connect(url) as connection:
        connection.execute(BARE_ROWS)
    body = invoice(CLIENT)
    with (
        serving(BARE, server=bench.server, env={"DATABASE_URL": url}) as port,
        service(database(bench.url, "ours"), workers=()) as house,
        service(database(bench.url, "whole"), workers=("work", "policies")) as whole,
    ):
        own, theirs = invoice(house.client), invoice(whole.client)
        create = [house.request("POST", "/api/invoices/", own)]
        create_whole = [whole.request("POST", "/api/invoices/", theirs)]
        yield {
            "create": loaded(bench, house.port, create, [201]),
            "create_whole": loaded(bench, whole.port, create_whole, [201]),
            "insert": loaded(bench, port, [request("POST", "/insert", body)], [201]),
            "echo": loaded(bench, port, [request("POST", "/echo", body)], [201]),
            "send": partial(_send, bench, house, own),
            "apply": partial(_apply, bench, house, own),
        }


def _send(bench: Bench, house: Service, body: bytes) -> Sample:
    """Send drafts made beforehand, each once, all in one series."""
    ids = house.created(body, int(bench.seconds * SENDS_PER_S))
    moves = [house.request("PATCH", f"/api/invoices/{id}/status", SENT) for id in ids]
    return Sample.of(drive(house.port, moves, connections=64, count=len(moves)).only(200))


def _apply(bench: Bench, house: Service, body: bytes) -> Sample:
    """Apply credits made beforehand, each once, to an invoice of its own."""
    invoices = house.sent(body, int(bench.seconds * APPLIED_PER_S))
    path = f"/api/customers/{house.client}/credits"
    goodwill = b'{"type":"goodwill","amount":"1.00"}'
    credits = house.created(goodwill, len(invoices), path)
    applied = [
        house.request("POST", f"{path}/{credit}/apply", f'{{"invoice_id":"{id}"}}'.encode())
        for credit, id in zip(credits, invoices, strict=True)
    ]
    return Sample.of(drive(house.port, applied, connections=64, count=len(applied)).only(200))


@registry.contest(
    Row("commit one fact, against eventsourcing's save, 8 threads", "journal", "save", bar=4),
    Row("commit one fact, against UmaDB, 16 threads", "journal", "umadb", bar=1),
    Row("commit one fact, against pgbench, 16 clients", "journal", "pgbench", bar=0.35),
)
def commits(bench: Bench) -> Iterator[Contestants]:
    """Durable commits/s of one fact each."""
    saved, inserted = database(bench.url, "saved"), database(bench.url, "inserted")
    journal = database(bench.url, "journal")
    migrate(journal)
    pgbench.prepare(inserted)
    turns: Contestants = {
        "journal": lambda: Sample.rate(apart(ours.commits, journal, bench.seconds)),
        "save": lambda: Sample.rate(apart(library.commits, saved, bench.seconds)),
        "pgbench": lambda: Sample.rate(pgbench.commits(inserted, bench.seconds)),
    }
    if not umadb_store.installed():
        yield {**turns, "umadb": partial(Sample, {"per_s": umadb_store.QUOTED[16]}, quoted=True)}
        return
    with umadb_store.umadb() as store:
        yield {
            **turns,
            "umadb": lambda: Sample.rate(apart(umadb_store.appends, store, bench.seconds)),
        }


@registry.contest(
    Row("rebuild one model, against reading its facts by COPY", "rebuild", "copy", bar=0.25),
    Row("rebuild one model, against reading its facts by page", "rebuild", "keyset", bar=0.25),
    Row("rebuild all models, against the library's runner", "rebuild_all", "runner", bar=15),
)
def rebuilds(bench: Bench) -> Iterator[Contestants]:
    """Facts/s, from a journal that is already there."""
    whole = ledger.journal(bench.url, bench.facts, "whole")
    of_invoices = ledger.journal(bench.url, bench.facts, "of_invoices", ledger.OF_INVOICES)
    ran = database(bench.url, "ran")
    apart(library.fill, ran, max(2_000, bench.facts // 60))
    yield {
        "rebuild": lambda: Sample.rate(apart(ours.rebuild, of_invoices, "invoices")),
        "copy": lambda: Sample.rate(apart(reading.by_copy, of_invoices)),
        "keyset": lambda: Sample.rate(apart(reading.by_keyset, of_invoices)),
        "rebuild_all": lambda: Sample.rate(apart(ours.rebuild, whole)),
        "runner": lambda: Sample.rate(apart(library.project, ran)),
    }


@registry.contest(
    Row("read one invoice, 16 connections", "one", "bare_one", bar=0.6),
    Row("read one invoice, p99", "one", "bare_one", "p99_ms", bar=2, at_most=True),
    Row("list 50 invoices, 16 connections", "list", "bare_list", bar=0.6),
    Row("list 50 invoices, p99", "list", "bare_list", "p99_ms", bar=2, at_most=True),
)
def reads(bench: Bench) -> Iterator[Contestants]:
    """Requests/s at 16 connections, two processes a server, the same SQL on both sides."""
    url = ledger.journal(bench.url, bench.facts, "reads")
    apart(ours.rebuild, url)
    tenant = ledger.tenant(0)
    env = {
        "DATABASE_URL": url,
        "POOL_SIZE": str(READERS),
        "ONE_SQL": asking.one_sql(tenant),
        "LIST_SQL": asking.list_sql(url, tenant),
    }
    ids = asking.invoices(url, tenant, ONES)
    keys = [request("GET", f"/one?key={id}") for id in ids]
    page = [request("GET", "/list")]
    with (
        serving(BARE, server=bench.server, env=env) as port,
        service(url, tenant=tenant) as house,
    ):
        ones = [house.request("GET", f"/api/invoices/{id}") for id in ids]
        pages = [house.request("GET", "/api/invoices?limit=50")]
        yield {
            "one": loaded(bench, house.port, ones, [200], connections=16),
            "bare_one": loaded(bench, port, keys, [200], connections=16),
            "list": loaded(bench, house.port, pages, [200], connections=16),
            "bare_list": loaded(bench, port, page, [200], connections=16),
        }


@registry.contest(
    Row("create an invoice, against no permissions and limits", "create", "unguarded", bar=0.97),
    Row("read one invoice, against no row-level security", "one", "one_unfenced", bar=0.9),
    Row("list 50 invoices, against no row-level security", "list", "list_unfenced", bar=0.9),
)
def guards(bench: Bench) -> Iterator[Contestants]:
    """What permissions, limits and row-level security cost: the same service without them."""
    url = ledger.journal(bench.url, bench.facts, "guarded")
    apart(ours.rebuild, url)
    tenant = ledger.tenant(0)
    ids = asking.invoices(url, tenant, ONES)
    with (
        service(database(bench.url, "guards"), workers=()) as house,
        service(database(bench.url, "no_guards"), workers=(), without="guards") as lowered,
        service(url, tenant=tenant) as fenced,
        service(url, tenant=tenant, workers=(), without="fence") as unfenced,
    ):
        created, read = {"create": house, "unguarded": lowered}, {"": fenced, "_unfenced": unfenced}
        yield {
            **{
                name: loaded(
                    bench,
                    it.port,
                    [it.request("POST", "/api/invoices/", invoice(it.client))],
                    [201],
                )
                for name, it in created.items()
            },
            **{
                f"one{name}": loaded(
                    bench,
                    it.port,
                    [it.request("GET", f"/api/invoices/{id}") for id in ids],
                    [200],
                    16,
                )
                for name, it in read.items()
            },
            **{
                f"list{name}": loaded(
                    bench, it.port, [it.request("GET", "/api/invoices?limit=50")], [200], 16
                )
                for name, it in read.items()
            },
        }


@registry.contest(
    Row("hello, 64 connections", "hello_granian", "hello_uvicorn"),
    Row("echo a body of 1 kB", "echo_granian", "echo_uvicorn"),
    Row("echo a body of 1 kB, p99", "echo_granian", "echo_uvicorn", "p99_ms"),
    Row("insert three rows", "insert_granian", "insert_uvicorn"),
    Row("insert three rows, p99", "insert_granian", "insert_uvicorn", "p99_ms"),
    only_asked=True,
)
def servers(bench: Bench) -> Iterator[Contestants]:
    """Which server serves the bare application faster: two processes each."""
    url = database(bench.url, "served")
    with psycopg.connect(url) as connection:
        connection.execute(BARE_ROWS)
    body, env = invoice(CLIENT), {"DATABASE_URL": url}
    first, second = SERVERS
    with (
        serving(BARE, server=first, env=env) as one,
        serving(BARE, server=second, env=env) as other,
    ):
        ports = {first: one, second: other}
        paths = {
            "hello": (request("GET", "/hello"), 200),
            "echo": (request("POST", "/echo", body), 201),
            "insert": (request("POST", "/insert", body), 201),
        }
        yield {
            f"{name}_{server}": loaded(bench, port, [wanted], [status])
            for name, (wanted, status) in paths.items()
            for server, port in ports.items()
        }
