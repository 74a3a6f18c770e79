"""Belonging: whose a document is, when merges are followed from the client it was written for."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from uuid import UUID

from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.merge import Link, Merge
from zeroinvoice.domain.way import Station, Way
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


def way_to(desk: Desk, entered: Way, touched: Iterable[UUID]) -> Way:
    """The way from whose a record is that settles documents of these homes; `entered` is the old.

    Of all merges only those count that stood when it was entered and have stood ever since. The
    record is the last client's to whom they lead, or the nearest below's to whom all that it
    settles leads. So one entered after a merge goes back with what it settles, one that was
    there before does not, and a merge made anew takes nothing along that has gone back.
    """
    last = _rest(desk, entered)
    homes = list(dict.fromkeys(touched))
    nearest = _nearest(desk, homes) if homes else None
    if nearest is None or not _led(desk, nearest, last):
        return (last,)
    ids = [it.id for it in line(desk, nearest)]
    below = (desk.open(Client, it) for it in ids[: ids.index(last.client_id)])
    return (*(Station(it.id, it.since) for it in below), last)


def _rest(desk: Desk, way: Way) -> Station:
    """The last client on a way: where an undone merge has parted it, the one below."""
    for below, above in pairwise(way):
        if not _led(desk, below.client_id, above):
            return below
    return way[-1]


def _led(desk: Desk, client_id: UUID, to: Station) -> bool:
    """Whether merges that stood then have made this client the other ever since.

    The last of them tells: nothing is merged into a client that is merged itself.
    """
    if client_id == to.client_id:
        return True
    for below, above in pairwise(line(desk, client_id)):
        if above.id == to.client_id:
            made = next(it for it in above.absorbed if it.merge_id == below.merge_id)
            return made.version <= to.since
    return False


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
