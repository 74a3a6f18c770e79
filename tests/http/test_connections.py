"""Connections: a register of who listens, which counts what it was told and no more."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from zeroinvoice.http.connections import Connections

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OURS, THEIRS, ANN, BOB = (UUID(int=n) for n in range(1, 5))


class Hands:
    """A clock that is set by hand."""

    at = NOW

    def __call__(self) -> datetime:
        return self.at


def test_nobody_listens_at_first() -> None:
    """A26-4."""
    standing = Connections(Hands()).of(OURS)
    assert (standing.connections, standing.by_user, standing.oldest) == (0, {}, None)
    assert (standing.sent, standing.dropped) == (0, 0)


def test_who_enters_is_counted_until_they_leave() -> None:
    """A26-4: each workspace sees its own."""
    clock = Hands()
    register = Connections(clock)
    first = register.enter(OURS, ANN)
    clock.at += timedelta(minutes=1)
    second = register.enter(OURS, ANN)
    register.enter(OURS, BOB)
    register.enter(THEIRS, BOB)
    assert register.of(OURS).by_user == {ANN: 2, BOB: 1}
    assert register.of(OURS).oldest == NOW
    assert register.of(THEIRS).connections == 1
    for _ in range(2):  # to leave twice is to leave once
        register.leave(first)
    assert register.of(OURS).by_user == {ANN: 1, BOB: 1}
    assert register.of(OURS).oldest == NOW + timedelta(minutes=1)
    register.leave(second)
    assert register.of(OURS).connections == 1
    assert register.up_for == timedelta(minutes=1)


def test_messages_are_counted_by_workspace() -> None:
    """A26-4."""
    register = Connections(Hands())
    register.note(OURS, sent=3)
    register.note(OURS, sent=1, dropped=2)
    register.note(THEIRS, sent=9)
    assert (register.of(OURS).sent, register.of(OURS).dropped) == (4, 2)
