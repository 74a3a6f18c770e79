"""Readings: how whoever looks at the audit log gets into it."""

from zeroinvoice.domain.access_day import Question, View
from zeroinvoice.http.reading import RequestReader


def put_on_record(
    reader: RequestReader, view: View, question: Question, more: tuple[str | None, ...] = ()
) -> None:
    """Put a reading on record; `more` is what else was asked for, and is not kept itself.

    A seal tells whether the same was asked from the same place before, and nothing else.
    """
    origin = reader.origin
    asked = repr((view, question, more, origin.ip, origin.agent))
    mark = reader.books.keyring.seal("reading", asked)[:22]
    reader.on_record(lambda day, desk, zone: day.read(view, question, mark, desk.now, zone))
