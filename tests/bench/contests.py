"""What a bench is made of: contestants that take turns, and the rows that compare them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from load import Load


@dataclass(frozen=True)
class Bench:
    """What every contest is given."""

    url: str  # of the throw-away Postgres; make databases of your own beside it
    seconds: float  # how long one turn should measure
    facts: int  # how many facts the rebuilds and reads work on
    many: int  # how many facts a large installation has
    server: str  # what serves HTTP


@dataclass(frozen=True)
class Sample:
    """What one turn of one contestant gave."""

    figures: Mapping[str, float]
    quoted: bool = False  # measured elsewhere: it can show a size, not decide a race

    @classmethod
    def rate(cls, per_s: float) -> "Sample":
        return cls({"per_s": per_s})

    @classmethod
    def of(cls, load: Load) -> "Sample":
        figures = ("per_s", "p50_ms", "p95_ms", "p99_ms")
        return cls({name: getattr(load, name) for name in figures})


Turn = Callable[[], Sample]
Contestants = dict[str, Turn]
"""By name, in the order in which they take turns."""


@dataclass(frozen=True)
class Row:
    """One line of the table: one of ours against one yardstick, or against a fixed bar.

    With a yardstick the bar is on the ratio, without one on our figure itself. A row whose
    contestant is missing (not written yet, not installed) is printed with a dash.
    """

    measure: str
    ours: str
    yardstick: str | None = None
    figure: str = "per_s"
    bar: float | None = None
    at_most: bool = False  # the bar is a ceiling


@dataclass(frozen=True)
class Contest:
    name: str
    about: str  # what it measures, and how
    rows: tuple[Row, ...]
    enter: Callable[[Bench], AbstractContextManager[Contestants]]
    only_asked: bool = False  # left out unless named by --only
    once: bool = False  # a round takes minutes, and a second one would show the same


@dataclass
class Registry:
    contests: dict[str, Contest] = field(default_factory=dict)

    def contest(
        self, *rows: Row, only_asked: bool = False, once: bool = False
    ) -> Callable[[Callable[[Bench], Iterator[Contestants]]], Contest]:
        """Register a generator that sets up, yields its contestants, and clears away."""

        def register(prepare: Callable[[Bench], Iterator[Contestants]]) -> Contest:
            about = " ".join((prepare.__doc__ or "").split())
            made = Contest(prepare.__name__, about, rows, contextmanager(prepare), only_asked, once)
            self.contests[made.name] = made
            return made

        return register


registry = Registry()
