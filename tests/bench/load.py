"""A load generator: HTTP/1.1 keep-alive over loopback, from processes of its own."""

import select
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count as counting
from itertools import cycle, islice

import msgspec
from processes import pool

Requests = Sequence[bytes] | Callable[[int], bytes]
"""Whole requests, sent in turn; or what makes the next one from its running number."""

MOST_CONNECTIONS = 1_024
MOST_SECONDS = 120.0
MOST_REQUESTS = 2_000_000
MOST_BROKEN = 1_000  # connections
SILENCE = 15.0  # seconds without any answer after which the server counts as hung


class Load(msgspec.Struct, frozen=True):
    """What one load run saw. Rates and percentiles leave out warming up and the last stragglers."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_us: float  # the generator's own cost of one request
    statuses: dict[int, int]  # 0: the connection broke before the answer
    failures: dict[int, bytes]  # the first body of each status from 400 on
    bodies: list[bytes]  # every answer's body, when asked to keep them

    def only(self, *expected: int) -> "Load":
        """Refuse a figure that was not earned: a fast 500 is no speed."""
        if strangers := set(self.statuses) - set(expected):
            seen = {status: self.failures.get(status, b"")[:300] for status in strangers}
            raise AssertionError(f"expected {expected}, saw {self.statuses}: {seen}")
        return self


class Plan(msgspec.Struct, frozen=True):
    """What one process of the generator has to do."""

    port: int
    requests: Requests
    connections: int
    seconds: float
    count: int | None
    warm_for: float  # seconds
    every: float | None  # seconds between two requests, whatever the answers do
    keep: bool
    share: int
    processes: int

    def stream(self) -> Iterator[bytes]:
        """This process's requests: every n-th of the running numbers."""
        if callable(self.requests):
            made = map(self.requests, counting(self.share, self.processes))
            return made if self.count is None else islice(made, self.count)
        mine = self.requests[self.share :: self.processes]
        endless = cycle(mine)
        return endless if self.count is None else islice(endless, self.count)


class Tally:
    """What one process of the generator saw."""

    def __init__(self) -> None:
        self.latencies = array("d")  # seconds
        self.elapsed = 0.0  # seconds
        self.cpu = 0.0  # seconds
        self.statuses: Counter[int] = Counter()
        self.failures: dict[int, bytes] = {}
        self.bodies: list[bytes] = []


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of one request; `if_match="…"` becomes the header If-Match."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drive(
    port: int,
    requests: Requests,
    *,
    connections: int = 64,
    seconds: float | None = None,
    count: int | None = None,
    warm_for: float = 0.0,  # seconds
    per_s: float | None = None,
    keep: bool = False,
    processes: int = 1,
) -> Load:
    """Load a server on this machine for some seconds, or with a number of requests.

    Each connection asks again as soon as it is answered, unless `per_s` sets the pace; then
    a latency counts from the moment the request was due. A callable must be a module's own.
    """
    if (seconds is None) == (count is None):
        raise ValueError("say either for how long or how many")
    if not 0 < connections <= MOST_CONNECTIONS or (count or 0) > MOST_REQUESTS:
        raise ValueError("too many connections or requests")
    if (seconds or 0) + warm_for > MOST_SECONDS:
        raise ValueError(f"no longer than {MOST_SECONDS} s")
    if count is not None and (count % processes or warm_for):
        raise ValueError("a counted load is divided evenly and has no warming up")
    plans = [
        Plan(
            port=port,
            requests=requests,
            connections=connections // processes,
            seconds=MOST_SECONDS if seconds is None else seconds,
            count=None if count is None else count // processes,
            warm_for=warm_for,
            every=processes / per_s if per_s else None,
            keep=keep,
            share=share,
            processes=processes,
        )
        for share in range(processes)
    ]
    with pool(processes) as generators:
        return _summary(list(generators.map(carry_out, plans)))


def carry_out(plan: Plan) -> Tally:
    return Generator(plan).run()


class Generator:
    """One process's connections. `hear` is the code whose cost everyone here pays for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stream = plan.stream()
        self.tally = Tally()
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.partial: dict[int, bytes] = {}  # answers of which only a part has come
        self.asked_at: dict[int, float] = {}  # connections that await an answer
        self.idle: deque[int] = deque()  # connections that wait for their turn, or for the end

    def run(self) -> Tally:
        plan, tally, asked_at, clock = self.plan, self.tally, self.asked_at, time.perf_counter
        for _ in range(plan.connections):
            self.idle.append(self.connect())
        begun = due = heard = clock()
        cpu = time.process_time()
        warm_at = begun + plan.warm_for
        deadline = warm_at + plan.seconds
        skipped, counted = 0, None
        warming, sending = plan.warm_for > 0, True
        while sending or asked_at:
            wait = 1.0
            if sending and self.idle:
                due, sending = self.send_what_is_due(due)
                wait = max(0.0, due - clock()) if plan.every and self.idle else 1.0
            answered = self.poll.poll(wait)
            for fd, _ in answered:
                self.hear(fd)
            now = clock()
            if answered:
                heard = now
            elif asked_at and now - heard > SILENCE:
                raise TimeoutError(f"no answer for {SILENCE} s")
            if warming and now >= warm_at:
                warming, skipped, begun, cpu = False, len(tally.latencies), now, time.process_time()
            if counted is None and now >= deadline:
                # The stragglers are still heard, so that the next run finds a quiet server.
                counted, sending, self.stream = len(tally.latencies), False, iter(())
                tally.elapsed, tally.cpu = now - begun, time.process_time() - cpu
        if counted is None:
            counted = len(tally.latencies)
            tally.elapsed, tally.cpu = clock() - begun, time.process_time() - cpu
        tally.latencies = tally.latencies[skipped:counted]
        for one in self.sockets.values():
            one.close()
        return tally

    def send_what_is_due(self, due: float) -> tuple[float, bool]:
        """Give idle connections their next request; answer when the one after them is due."""
        every = self.plan.every
        while self.idle and (every is None or due <= time.perf_counter()):
            wanted = next(self.stream, None)
            if wanted is None:
                return due, False
            self.ask(self.idle.popleft(), wanted, due if every else time.perf_counter())
            due += every or 0.0
        return due, True

    def ask(self, fd: int, wanted: bytes, at: float) -> None:
        self.asked_at[fd] = at
        if self.sockets[fd].send(wanted) != len(wanted):
            raise RuntimeError("a request did not fit into the socket's buffer")

    def hear(self, fd: int) -> None:
        """Take one connection's answer and, unless the pace is set, ask again at once."""
        try:
            data = self.sockets[fd].recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.idle.append(self.mend(fd))
            return
        if fd in self.partial:
            data = self.partial.pop(fd) + data
        head = data.find(b"\r\n\r\n") + 4
        whole = head + body_length(data, head) if head > 3 else 0
        if len(data) != whole:
            if 0 < whole < len(data):
                raise RuntimeError("the server answered more than it was asked")
            self.partial[fd] = data
            return
        now, tally = time.perf_counter(), self.tally
        tally.latencies.append(now - self.asked_at.pop(fd))
        status = int(data[9:12])
        tally.statuses[status] += 1
        if status >= 400:
            tally.failures.setdefault(status, data[head:])
        if self.plan.keep:
            tally.bodies.append(data[head:])
        if self.plan.every or (wanted := next(self.stream, None)) is None:
            self.idle.append(fd)
        else:
            self.ask(fd, wanted, now)

    def connect(self) -> int:
        one = socket.create_connection(("127.0.0.1", self.plan.port), timeout=5)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)
        self.poll.register(one.fileno(), select.EPOLLIN)
        self.sockets[one.fileno()] = one
        return one.fileno()

    def mend(self, fd: int) -> int:
        """Replace a connection that the server closed; an answer it owed is counted as broken."""
        self.poll.unregister(fd)
        self.sockets.pop(fd).close()
        self.partial.pop(fd, None)
        if self.asked_at.pop(fd, None) is None:
            self.idle = deque(other for other in self.idle if other != fd)
        else:
            self.tally.statuses[0] += 1
            if self.tally.statuses[0] > MOST_BROKEN:
                raise ConnectionError("the server keeps breaking its connections")
        return self.connect()


def body_length(data: bytes, head: int) -> int:
    at = data.find(b"content-length: ", 0, head)
    if at > 0:
        return int(data[at + 16 : data.find(b"\r", at)])
    fields = data[:head].lower()
    if (at := fields.find(b"content-length:")) > 0:
        return int(fields[at + 15 : fields.find(b"\r", at)])
    if data[9:12] in (b"204", b"304"):
        return 0
    raise RuntimeError(f"an answer without a length cannot be measured: {data[:head]!r}")


def _summary(tallies: Sequence[Tally]) -> Load:
    latencies = sorted(one for tally in tallies for one in tally.latencies)
    if not latencies:
        raise RuntimeError("nothing was answered in the measured part")
    statuses: Counter[int] = sum((tally.statuses for tally in tallies), Counter())

    def percentile(share: float) -> float:
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1_000

    return Load(
        per_s=sum(len(tally.latencies) / tally.elapsed for tally in tallies),
        p50_ms=percentile(0.50),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
        cpu_us=sum(tally.cpu for tally in tallies) / len(latencies) * 1_000_000,
        statuses=dict(statuses),
        failures={status: body for tally in tallies for status, body in tally.failures.items()},
        bodies=[body for tally in tallies for body in tally.bodies],
    )
