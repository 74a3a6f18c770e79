"""The activity feed's own streams: what others tell, and how far somebody has read."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.activity import (
    ActivityMarked,
    ActivityMarker,
    ActivityTracked,
    Tracking,
    marker_of,
    tracking_of,
)
from zeroinvoice.kernel.facts import NIL

INVOICE, TENANT = UUID(int=7), UUID(int=8)
told = ActivityTracked("invoice_created", INVOICE, "shop")


def test_what_is_told_is_taken_down_once() -> None:
    """A26-3."""
    assert list(Tracking().track(told)) == [told]
    again = told.but(source="crm")
    assert list(Tracking.after(told).track(again)) == []
    assert Tracking.after(told).heard == told


def test_each_record_is_told_of_on_a_stream_of_its_own() -> None:
    """A26-3: dedupe on type and object."""
    streams = {
        tracking_of(tenant, type, id)
        for tenant in (TENANT, NIL)
        for type in ("invoice_created", "payment_received")
        for id in (INVOICE, NIL)
    }
    assert len(streams) == 8
    assert marker_of(TENANT, INVOICE) not in streams


@given(st.lists(st.integers(1, 10_000), max_size=30))
def test_a_marker_stands_at_the_furthest_that_was_read(positions: list[int]) -> None:
    """A26-7: whatever the order in which devices say so."""
    marker = ActivityMarker()
    for position in positions:
        events = list(marker.mark(position))
        assert events in ([], [ActivityMarked(position)])
        for event in events:
            marker = marker.evolve(event)
    assert marker.position == max(positions, default=0)
