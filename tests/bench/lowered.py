"""The program without what guards it, to measure what that costs: `LOWERED=fence lowered.py api`.

`guards` are permissions and limits: whoever has a session may do everything, as often as they
like. `fence` is row-level security: reads ask as the owner of the tables, and name no tenant.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from zeroinvoice import app
from zeroinvoice.domain.principal import Principal
from zeroinvoice.domain.session import Session
from zeroinvoice.http.limits import Cells, Limits
from zeroinvoice.readside import reader


def guards() -> None:
    async def admitted(*_: Any) -> None:
        return

    def let_in(it: Principal, streams: Any, needed: Any) -> None:
        streams.find(Session, it.session, tenant=it.tenant).assert_open(streams.now)

    standing = property(lambda it: ((Session, it.session),))
    for kind, name, other in (
        (Limits, "admit", admitted),
        (Cells, "take", lambda *_: None),
        (Principal, "admit", let_in),
        (Principal, "standing", standing),
    ):
        setattr(kind, name, other)


def fence() -> None:
    @contextmanager
    def within(connection: psycopg.Connection[Any], _: UUID) -> Iterator[psycopg.Connection[Any]]:
        with connection.pipeline():
            yield connection

    owner = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])["user"]
    for module, name, other in ((app, "READ_ROLE", owner), (reader, "within", within)):
        setattr(module, name, other)


if __name__ == "__main__":
    {"guards": guards, "fence": fence}[os.environ["LOWERED"]]()

    from zeroinvoice.cli import main

    main()
