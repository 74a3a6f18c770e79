"""The one clock. Only the writer, the reader and the workers look at it."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]  # aware, UTC


def system_clock() -> datetime:
    return datetime.now(UTC)


class Stopwatch:
    """Seconds that only ever go forward, and waiting until some of them have passed."""

    def read(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """An IANA time zone. Raises `ZoneInfoNotFoundError` (a `KeyError`) for an unknown name."""
    return ZoneInfo(name)


def local_day(at: datetime, zone_name: str) -> date:
    """The calendar day it is at that instant in that zone; never from a stored offset."""
    return at.astimezone(zone(zone_name)).date()
