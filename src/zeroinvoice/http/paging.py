"""Paging: what every list takes from its query string."""

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from zeroinvoice.readside.paging import LIMIT, MOST, Paging

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="rows of a page")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=500, description="`next_cursor` of the page before")
]
Sort = Annotated[
    str | None, QueryParameter(max_length=40, description="a field; `-` before it for descending")
]
WithTotal = Annotated[bool, QueryParameter(description="count all parts of the list as well")]


def paging(
    limit: Limit = LIMIT,
    cursor: Cursor = None,
    sort: Sort = None,
    include_total: WithTotal = False,
) -> Paging:
    return Paging(limit, cursor, sort, include_total)


Listing = NamedDependency[Paging]
