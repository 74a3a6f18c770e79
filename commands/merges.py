"""Merges: let clients become one, and let them stand for themselves again."""

from anyio import to_thread
from litestar.params import JSONBody

from projections.merge_view import MergeReceipt, MergeUndoReceipt
from projections.merges import counted, expected
from zeroinvoice.domain import merging
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.merge import Merge
from zeroinvoice.domain.merging import MergeClients, UndoMerge
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import post
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk


@post("/clients/merge", may="clients:merge", status_code=200)
async def merge(data: JSONBody[MergeClients], writer: Writing, reader: Reading) -> MergeReceipt:
    """Merge clients into one; with `dry_run` tell what would happen, and change nothing."""

    def decision(desk: Desk) -> tuple[Client, Merge, int]:
        decide = merging.rehearse if data.dry_run else merging.merge
        return *decide(desk, data), desk.open(Workspace, desk.tenant).settings.merge_undo_days

    clients = (data.primary_id, *data.duplicate_ids[: merging.MOST_DUPLICATES])
    wants = merging.streams_of(writer.tenant, clients)
    primary, made, days = await writer.commit(decision, wants=wants)
    if data.dry_run:
        counts = await to_thread.run_sync(expected, reader, primary.absorbed[-1].homes)
    else:
        counts = await to_thread.run_sync(counted, reader, made.id)
    return MergeReceipt.of(primary, made, counts, days, dry_run=data.dry_run)


@post("/clients/merge/undo", may="clients:merge", status_code=200)
async def undo(data: JSONBody[UndoMerge], writer: Writing) -> MergeUndoReceipt:
    """Undo a merge: every record that was a duplicate's and still is the primary's goes back."""

    def decision(desk: Desk) -> tuple[Merge, Client]:
        primary, made = merging.undo(desk, data)
        return made, primary

    made, primary = await writer.commit(decision, wants=[(Merge, data.merge_id)])
    return MergeUndoReceipt.of(made, primary)


routes = [merge, undo]
