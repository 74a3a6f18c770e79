"""Chance: one seeded generator decides everything that happens, and which faults strike."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from zeroinvoice.kernel.clock import Stopwatch

FAULTS = (
    "crash before",  # a process ends before its transaction is committed
    "crash after",  # or afterwards, before anybody was answered
    "lost before",  # the answer to COMMIT is lost, and nothing was stored
    "lost after",  # the answer to COMMIT is lost, and it was stored
    "under way",  # the answer is lost while the server still commits, or gives up
    "stopped",  # a process stands still inside its transaction until the server ends that
    "away",  # a statement does not reach the database
    "outage",  # nothing reaches the database for a while
    "refused",  # the database refuses a batch
    "interlude",  # another process goes first
    "duplicate",  # a request arrives twice, at any process
    "impatient",  # a client stops waiting before it is answered
    "reorder",  # commands are not decided in the order in which they came
    "clock",  # a process's clock is moved, either way
    "power",  # the database restarts: what was not synced to disk is gone
    "poison",  # a fold raises at a fact, until it is mended
    "mail",  # a letter cannot be delivered for now
)
NEVER, RATES = 0.3, (0.01, 0.03, 0.1, 0.25)


class Crashed(BaseException):
    """The process ends here, whatever it was doing."""


class Chance:
    """The generator, the rates of the faults in this run, and a record of the last steps."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.on = True  # whether faults strike at all
        self.rates = {
            name: 0.0 if self.rng.random() < NEVER else self.rng.choice(RATES) for name in FAULTS
        }
        self.struck: set[str] = set()
        self.trace: deque[str] = deque(maxlen=60)

    def strikes(self, fault: str) -> bool:
        if not self.on or self.rng.random() >= self.rates[fault]:
            return False
        self.struck.add(fault)
        self.say(f"  fault: {fault}")
        return True

    def say(self, what: str) -> None:
        self.trace.append(what)

    def id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)


class Time:
    """The time of the simulated world, which only its steps move, and its processes' clocks."""

    def __init__(self, chance: Chance) -> None:
        hours = chance.rng.randint(0, 8 * 24)  # a new year begins during some runs
        self.now = datetime(2026, 12, 25, tzinfo=UTC) + timedelta(hours=hours)

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class ProcessClock:
    """What one process takes for the time: it may be wrong, and may be put right."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.skew = timedelta()

    def __call__(self) -> datetime:
        return self.time.now + self.skew


class Waiting(Stopwatch):
    """Waiting that takes no time of ours; others may act meanwhile."""

    def __init__(self, interlude: Callable[[], None]) -> None:
        self._seconds = 0.0
        self._interlude = interlude

    def read(self) -> float:
        return self._seconds

    def wait(self, seconds: float) -> None:
        self._seconds += seconds
        self._interlude()
