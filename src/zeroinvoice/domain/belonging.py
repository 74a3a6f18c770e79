"""Belonging: whose a document is, when merges are followed from the client it was written for."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from uuid import UUID

from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.merge import Link, Merge
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.refusals import Missing

MOST_HOPS = 16  # merges in a row


def line(desk: Desk, client_id: UUID) -> list[Client]:
    """A client, the one it was merged into, and so on; the last stands for them all."""
    found = [desk.open(Client, client_id)]
    while (into := found[-1].merged_into) is not None:
        found.append(desk.open(Client, into))
    return found


def standing(desk: Desk, client_id: UUID) -> Client:
    """The client that stands for this one: itself, unless it was merged."""
    return line(desk, client_id)[-1]


def credit_of(desk: Desk, client_id: UUID, credit_id: UUID) -> Credit:
    """A credit of a client who takes changes. Raises `Missing` for another client's."""
    credit = desk.open(Credit, credit_id)
    client = desk.open(Client, client_id)
    client.assert_there()
    if standing(desk, credit.entry.client_id).id != client.id:
        raise Missing("There is no such credit.")
    return credit


def home_of(desk: Desk, entered_for: UUID, since: int, touched: Iterable[UUID]) -> UUID:
    """Whose a record is that was entered for one client and settles documents of these homes.

    One entered after a merge goes back with what it settles; so it belongs to the nearest client
    that all of that belongs to, unless it was there before the merge that led to its own client.
    `since` is that client's when it was entered.
    """
    homes = list(dict.fromkeys(touched))
    if not homes or homes == [entered_for]:
        return entered_for
    nearest = _nearest(desk, homes)
    if nearest is None:
        return entered_for
    for below, above in pairwise(line(desk, nearest)):
        if above.id == entered_for:
            made = next(it for it in above.absorbed if it.merge_id == below.merge_id)
            return nearest if made.version <= since else entered_for
    return entered_for


def entangle(desk: Desk, links: Iterable[Link]) -> None:
    """Tell the merges between the ends of each link, so that they are not undone unawares."""
    told: dict[UUID, list[Link]] = {}
    for link in links:
        for merge_id in between(desk, link.home, link.invoice_home):
            told.setdefault(merge_id, []).append(link)
    for merge_id, mine in told.items():
        merge = desk.open(Merge, merge_id)
        desk.record(merge, merge.entangle(tuple(mine)))


def disentangle(desk: Desk, record_id: UUID, ends: Iterable[tuple[UUID, UUID]]) -> None:
    """Tell the merges between these ends that a link is no more."""
    merges = dict.fromkeys(it for one, other in ends for it in between(desk, one, other))
    for merge_id in merges:
        merge = desk.open(Merge, merge_id)
        desk.record(merge, merge.disentangle(record_id))


def between(desk: Desk, one: UUID, other: UUID) -> list[UUID]:
    """The merges that lead from two homes to the first client that both belong to."""
    if one == other:
        return []
    steps = [{(it.id, it.merge_id) for it in line(desk, home)} for home in (one, other)]
    return sorted({merge_id for _, merge_id in steps[0] ^ steps[1] if merge_id})


def parted_by(desk: Desk, merge: Merge) -> list[Link]:
    """The links whose ends would belong to two clients if the merge was undone."""
    parted = []
    for it in merge.links:
        sides = (_side(desk, merge, it.home), _side(desk, merge, it.invoice_home))
        if None not in sides and sides[0] != sides[1]:
            parted.append(it)
    return parted


def _side(desk: Desk, merge: Merge, home: UUID) -> UUID | None:
    """Who a record of this home would belong to; None where the merge does not concern it."""
    ids = [it.id for it in line(desk, home)]
    if merge.made.primary_id not in ids:
        return None
    return next((it for it in merge.made.duplicates if it in ids), merge.made.primary_id)


def _nearest(desk: Desk, homes: Sequence[UUID]) -> UUID | None:
    """The first client on all of their lines."""
    lines = [[it.id for it in line(desk, home)] for home in homes]
    return next((it for it in lines[0] if all(it in other for other in lines[1:])), None)
