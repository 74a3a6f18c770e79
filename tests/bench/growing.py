"""What must not grow: lag, memory, latency with the amount of data, and a start's time."""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asking
import ledger
import ours
import psycopg
from bodies import invoice
from cluster import database
from contests import Bench, Contestants, Row, Sample, registry
from load import drive
from ours import PROGRAM, Service, service
from processes import apart, free_port, pool, running

import projections

WRITES_PER_S = 200
WATCH = (
    "SELECT (SELECT coalesce(max(position), 0) FROM facts), (SELECT min(position) FROM checkpoints)"
)
FEW = 10_000  # facts
SETTLED = 3.0  # seconds after which an installation that nobody asks counts as idle
LONGEST = 1_800.0  # seconds for a projector to take in a journal
APPENDS = 100  # a turn; more would make the small journal large
WORDS = 200  # searched for in turn
MERGED = 10_000  # invoices of a client that is merged


@registry.contest(
    Row(
        "commit to visible in all read models, p95, 200 writes/s",
        "visible",
        None,
        "p95_ms",
        50,
        True,
    ),
)
def lag(bench: Bench) -> Iterator[Contestants]:
    """Watched in SQL, more than 1,000 times a second, from a connection of its own."""
    with service(database(bench.url, "lag")) as house:
        yield {"visible": partial(_lag, bench, house)}


def _lag(bench: Bench, house: Service) -> Sample:
    create = [house.request("POST", "/api/invoices/", invoice(house.client))]
    seconds = max(3.0, bench.seconds)
    with pool(1) as watcher:
        watched = watcher.submit(lags, house.url, seconds)
        drive(house.port, create, connections=32, seconds=seconds + 1, per_s=WRITES_PER_S).only(201)
        seen = sorted(watched.result())
    if len(seen) < WRITES_PER_S * seconds / 2:
        raise AssertionError(f"only {len(seen)} commits were seen")
    return Sample(
        {f"p{share}_ms": seen[len(seen) * share // 100] * 1_000 for share in (50, 95, 99)}
    )


def lags(url: str, seconds: float) -> list[float]:
    """Seconds from when each new fact was committed to when every read model had it."""
    found: list[float] = []
    waiting: list[tuple[int, float]] = []  # positions and when they were first seen, in order
    looks = 0
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        known, _ = cursor.execute(WATCH, prepare=True).fetchone() or (0, 0)
        begun = now = time.perf_counter()
        while now - begun < seconds:
            head, visible = cursor.execute(WATCH, prepare=True).fetchone() or (0, 0)
            now = time.perf_counter()
            waiting += [(position, now) for position in range(known + 1, head + 1)]
            known, looks = head, looks + 1
            done = sum(1 for position, _ in waiting if position <= visible)
            found += [now - at for _, at in waiting[:done]]
            del waiting[:done]
            time.sleep(0.0002)
    if looks < 1_000 * seconds:
        raise AssertionError(f"{looks} looks in {seconds} s are too few to measure milliseconds")
    return found


@registry.contest(
    Row("memory of a projector that follows 1,000,000 facts, against 10,000",
        "follow_many", "follow_few", "peak_mb", 1.2, True),
    Row("memory of a rebuild of all models from 1,000,000 facts, against 10,000",
        "rebuild_many", "rebuild_few", "peak_mb", 1.2, True),
    once=True,
)  # fmt: skip
def memory(bench: Bench) -> Iterator[Contestants]:
    """The process's peak (VmHWM), and how many facts/s it took in."""
    yield {
        "follow_few": partial(_followed, bench, FEW),
        "follow_many": partial(_followed, bench, bench.many),
        "rebuild_few": partial(_rebuilt, bench, FEW),
        "rebuild_many": partial(_rebuilt, bench, bench.many),
    }


def _followed(bench: Bench, facts: int) -> Sample:
    """`zeroinvoice work`, from position 0 until every read model has all facts."""
    url = ledger.journal(bench.url, facts, "followed")
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        log, begun = Path(folder, "log"), time.monotonic()
        with running([*PROGRAM, "work"], log=log, env=_at(url, folder)) as process:
            while not _caught_up(url, facts):
                if process.poll() is not None or time.monotonic() - begun > LONGEST:
                    raise RuntimeError(f"the worker did not get there:\n{log.read_text()[-4000:]}")
                time.sleep(0.2)
            took = time.monotonic() - begun
            return Sample({"peak_mb": peak(process.pid), "per_s": facts / took})


def _caught_up(url: str, facts: int) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        there = connection.execute("SELECT to_regclass('checkpoints')").fetchone()
        if there is None or there[0] is None:
            return False
        row = connection.execute("SELECT count(*), min(position) FROM checkpoints").fetchone()
    return row is not None and row[0] == len(projections.projectors) and row[1] >= facts


def _rebuilt(bench: Bench, facts: int) -> Sample:
    """`zeroinvoice projections rebuild --all`: the largest of its processes."""
    url = ledger.journal(bench.url, facts, "rebuilt")
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        log, begun, most = Path(folder, "log"), time.monotonic(), 0.0
        command = [*PROGRAM, "projections", "rebuild", "--all"]
        with running(command, log=log, env=_at(url, folder)) as process:
            while process.poll() is None:
                most = max([most, *map(peak, family(process.pid))])
                time.sleep(0.02)
            took = time.monotonic() - begun
        if process.returncode or not _caught_up(url, facts):
            raise RuntimeError(f"the rebuild failed:\n{log.read_text()[-4000:]}")
        return Sample({"peak_mb": most, "per_s": facts / took})


def _at(url: str, folder: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "ZEROINVOICE_DATA": folder}


def peak(pid: int) -> float:
    """The most memory that a process has held so far, in MB; 0 once it is gone."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM:") / 1_000


def _kilobytes(path: Path, name: str) -> float:
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith(name)) * 1.024


def _flat_rows() -> Iterator[Row]:
    for name, figure in (
        ("create an invoice", "append_ms"),
        ("read one", "one_ms"),
        ("list 50", "list_ms"),
        ("search", "search_ms"),
    ):
        for facts, size in (("100,000", "hundred_thousand"), ("1,000,000", "million")):
            measure = f"{name} among {facts} facts, p50, against 1,000"
            yield Row(measure, size, "thousand", figure, 1.5, True)


@registry.contest(*_flat_rows())
def flat(bench: Bench) -> Iterator[Contestants]:
    """One request after the other, for one of eight workspaces of very different age."""
    sizes = {"thousand": 1_000, "hundred_thousand": bench.many // 10, "million": bench.many}
    tenant = ledger.tenant(0)
    urls = {name: ledger.journal(bench.url, facts, name) for name, facts in sizes.items()}
    for url in urls.values():
        apart(ours.rebuild, url)
    with (
        service(urls["thousand"], processes=1, tenant=tenant) as small,
        service(urls["hundred_thousand"], processes=1, tenant=tenant) as middling,
        service(urls["million"], processes=1, tenant=tenant) as large,
    ):
        yield {
            name: partial(_latencies, bench, house, tenant)
            for name, house in zip(sizes, (small, middling, large), strict=True)
        }


def _latencies(bench: Bench, house: Service, tenant: UUID) -> Sample:
    url, ask = house.url, house.request
    ids = asking.invoices(url, tenant, WORDS)
    words = [quote(word) for word in asking.words(url, tenant, WORDS)]
    append = [ask("POST", "/api/invoices/", invoice(house.client))]

    def p50(requests: Sequence[bytes]) -> float:
        seconds, warm_for = bench.seconds / 2, bench.seconds / 8
        seen = drive(house.port, requests, connections=1, seconds=seconds, warm_for=warm_for)
        return seen.only(200).p50_ms

    return Sample(
        {
            "one_ms": p50([ask("GET", f"/api/invoices/{id}") for id in ids]),
            "list_ms": p50([ask("GET", "/api/invoices?limit=50")]),
            "search_ms": p50([ask("GET", f"/api/invoices/search?q={word}") for word in words]),
            "append_ms": drive(house.port, append, connections=1, count=APPENDS).only(201).p50_ms,
        }
    )


@registry.contest(
    Row(
        "`zeroinvoice serve` on data that is there, until it answers",
        "serve",
        None,
        "ready_s",
        5,
        True,
    ),
    Row("all its processes together when nobody asks", "serve", None, "idle_mb", 300, True),
)
def start(bench: Bench) -> Iterator[Contestants]:
    """With its own Postgres; memory is the sum of proportional shares (PSS)."""
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        _served(Path(folder))  # makes the data
        yield {"serve": partial(_served, Path(folder))}


def _served(folder: Path) -> Sample:
    port = free_port()
    env = {"PORT": str(port), "ZEROINVOICE_DATA": str(folder / "data"), "DATABASE_URL": ""}
    folder.chmod(0o711)  # as root, Postgres is another user, who must be able to pass
    log, begun = folder / "log", time.monotonic()
    with running([*PROGRAM, "serve"], log=log, env=env) as process:
        while not _well(port):
            if process.poll() is not None or time.monotonic() - begun > 60:
                raise RuntimeError(f"it does not serve:\n{log.read_text()[-4000:]}")
            time.sleep(0.02)
        ready = time.monotonic() - begun
        time.sleep(SETTLED)
        return Sample({"ready_s": ready, "idle_mb": held(process.pid)})


def _well(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def held(root: int) -> float:
    """The proportional memory of a process and all that it has started, in MB."""
    files = (Path(f"/proc/{pid}/smaps_rollup") for pid in family(root))
    return sum(_kilobytes(file, "Pss:") for file in files) / 1_000


def family(root: int) -> set[int]:
    """A process and all that it has started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    known = {root}
    while more := {pid for pid, parent in parents.items() if parent in known} - known:
        known |= more
    return known


@registry.contest(
    Row("merge a client of 10,000 invoices and undo it", "merge", None, "p50_ms", 2_000, True),
    Row("list 50 invoices meanwhile, slowest", "merge", None, "p99_ms", 1_500, True),
)
def merging(bench: Bench) -> Iterator[Contestants]:
    """Both requests one after the other, with what they moved counted; reads never fail."""
    with service(database(bench.url, "merging")) as house:
        many = min(MERGED, bench.facts // 2)
        house.created(invoice(house.client), many)
        with _talking(house) as ask:
            made = ask("POST", "/api/clients", {"name": "Primary"}, 201)
            yield {"merge": partial(_merge, house, made["id"], many)}


def _merge(house: Service, primary: str, many: int) -> Sample:
    """One merge and its undoing, while somebody lists invoices all the time."""
    took: list[float] = []
    done = threading.Event()

    def read() -> None:
        with _talking(house) as ask:
            while not done.is_set():
                begun = time.perf_counter()
                ask("GET", "/api/invoices?limit=50", None, 200)
                took.append((time.perf_counter() - begun) * 1_000)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with _talking(house) as ask:
            begun = time.perf_counter()
            asked = {"primary_id": primary, "duplicate_ids": [str(house.client)]}
            made = ask("POST", "/api/clients/merge", asked, 200)
            ask("POST", "/api/clients/merge/undo", {"merge_id": made["merge_id"]}, 200)
            whole = (time.perf_counter() - begun) * 1_000
    finally:
        done.set()
        reader.join()
    assert made["moved"]["invoices"] == many, made["moved"]
    return Sample({"p50_ms": whole, "p99_ms": max(took)})


@contextmanager
def _talking(house: Service) -> Iterator[Callable[[str, str, Any, int], Any]]:
    """One connection; asks, and sees that the status is the expected one."""
    connection = HTTPConnection("127.0.0.1", house.port, timeout=30)
    headers = {"Authorization": f"Bearer {house.token}", "Content-Type": "application/json"}

    def ask(method: str, path: str, body: Any, status: int) -> Any:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == status, text
        return json.loads(text)

    try:
        yield ask
    finally:
        connection.close()
