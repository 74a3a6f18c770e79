"""The generic cell rate algorithm: a burst, then the steady rate, for each key by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.http.limits import SECOND, Cells, Rate
from zeroinvoice.kernel.refusals import Throttled


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1_000.0  # seconds

    def __call__(self) -> int:
        return round(self.at * SECOND)


def taken(cells: Cells, key: str, tries: int) -> int:
    """How many of some tries at one moment are let through."""
    passed = 0
    for _ in range(tries):
        try:
            cells.take(key)
        except Throttled:
            continue
        passed += 1
    return passed


def test_a_burst_is_let_through_and_then_the_steady_rate() -> None:
    """T7: six at once; then one a tenth of a second."""
    clock = Hand()
    cells = Cells(Rate(per_s=10, burst=6), clock)
    assert taken(cells, "a", 50) == 6
    clock.at += 0.1001
    assert taken(cells, "a", 50) == 1
    clock.at += 60
    assert taken(cells, "a", 50) == 6
    assert taken(cells, "b", 50) == 6


def test_several_at_once_count_as_several() -> None:
    """T40: a request for many things costs as many."""
    cells = Cells(Rate(per_s=1, burst=10), Hand())
    cells.take("a", 8)
    with pytest.raises(Throttled) as no:
        cells.take("a", 3)
    assert no.value.retry_after == 1
    cells.take("a", 2)


@given(
    st.floats(0.5, 200),
    st.integers(1, 50),
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_span_of_time_lets_more_through_than_burst_and_rate(
    per_s: float, burst: int, pauses: list[float]
) -> None:
    """T7: whatever the rhythm of the requests."""
    clock = Hand()
    cells = Cells(Rate(per_s, burst), clock)
    begun, passed = clock.at, 0
    for pause in pauses:
        clock.at += pause
        passed += taken(cells, "a", 3)
        assert passed <= burst + (clock.at - begun) * per_s + 1e-3
