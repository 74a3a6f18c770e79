"""Erasure: forget who a client is, in every copy, and keep what they were billed and paid."""

from functools import partial
from uuid import UUID

from anyio import to_thread
from litestar.params import FromPath, JSONBody

from projections.client_view import ClientView
from zeroinvoice.domain import KINDS, erasing
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.erasing import EraseClient
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import post
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk

Started = tuple[Client, tuple[UUID, ...]]


@post("/clients/{client_id:uuid}/erase", may="clients:erase", status_code=200)
async def erase(
    client_id: FromPath[UUID], data: JSONBody[EraseClient], writer: Writing, reader: Reading
) -> ClientView:
    """Forget who a client is, once nothing must be kept with their name any more."""

    def decision(desk: Desk) -> Started:
        return erasing.start(desk, client_id, data)

    _, subjects = await writer.commit(decision, wants=[(Client, client_id)])
    found = await to_thread.run_sync(reader.speaking, subjects)
    for part in erasing.parts([(KINDS[kind], id) for id, kind in found]):
        await writer.go_on(partial(erasing.cover, subjects=subjects, speaking=part))
    return ClientView.of(await writer.go_on(partial(erasing.finish, client_id=client_id)))


routes = [erase]
