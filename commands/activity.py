"""Activity: take down what other systems tell of our records; remember what has been read."""

from typing import Annotated

from anyio import to_thread
from litestar.params import HeaderParameter, JSONBody
from msgspec import Meta

from projections.activity import FURTHEST, assert_position, first_activity, language_of
from projections.activity_view import ActivityView
from zeroinvoice.domain import activity
from zeroinvoice.domain.activity import ActivityMarker, Tracked, TrackRecord, marker_of
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import post, put
from zeroinvoice.http.writing import Writer, Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.value import Value

AcceptLanguage = Annotated[str | None, HeaderParameter(name="Accept-Language")]


class MarkRead(Value, forbid_unknown_fields=True):
    position: Annotated[int, Meta(ge=1, le=FURTHEST)]  # all up to it has been read


class Marked(Value):
    read_up_to: int  # a position


@post("/activity/track/invoice-created", may="invoices:write", status_code=200)
async def track_invoice(
    data: JSONBody[TrackRecord],
    writer: Writing,
    reader: Reading,
    accept_language: AcceptLanguage = None,
) -> ActivityView:
    """Note that another system knows an invoice of ours; answers the activity that is there."""
    return await _tracked("invoice_created", data, writer, reader, accept_language)


@post("/activity/track/payment-received", may="payments:write", status_code=200)
async def track_payment(
    data: JSONBody[TrackRecord],
    writer: Writing,
    reader: Reading,
    accept_language: AcceptLanguage = None,
) -> ActivityView:
    """Note that another system knows a payment of ours; answers the activity that is there."""
    return await _tracked("payment_received", data, writer, reader, accept_language)


@put("/activity/marker", may="account")
async def mark(data: JSONBody[MarkRead], writer: Writing, reader: Reading) -> Marked:
    """Remember up to where the feed has been read; what has been read stays read."""
    marker = marker_of(writer.tenant, writer.principal.user)
    await to_thread.run_sync(assert_position, reader, data.position)

    def decision(desk: Desk) -> ActivityMarker:
        found = desk.find(ActivityMarker, marker)
        return desk.record(found, found.mark(data.position))

    read = await writer.commit(decision, wants=[(ActivityMarker, marker)])
    return Marked(read.position)


async def _tracked(
    type: Tracked, data: TrackRecord, writer: Writer, reader: RequestReader, header: str | None
) -> ActivityView:
    tracking, client_id = await writer.commit(lambda desk: activity.track(desk, type, data))

    def show() -> ActivityView:
        language = language_of(reader, None, header)
        return first_activity(reader, tracking, data.id, client_id, language)

    return await to_thread.run_sync(show)


routes = [track_invoice, track_payment, mark]
