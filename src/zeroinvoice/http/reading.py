"""Reading: the reader of a request, with its instant, its position and its 304."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from zeroinvoice.domain.session import Session
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.auth import Principal
from zeroinvoice.http.bodies import check_text
from zeroinvoice.http.edge import told
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.readside.reader import Books, Reader, instant


class RequestReader(Reader):
    """A reader that knows who asks."""

    def __init__(
        self, books: Books, principal: Principal, now: datetime, request: Request[Any, Any, Any]
    ) -> None:
        for name, value in request.query_params.multi_items():
            check_text(value, f"?{name}")
        self.principal = principal
        as_of = request.query_params.get("as_of")
        self._told = told(request.scope)
        super().__init__(
            books,
            principal.tenant,
            now,
            standing=((Session, principal.session), (Workspace, principal.tenant)),
            admit=lambda it: it.find(Session, principal.session).assert_open(now),
            min_position=_position(request.headers.get("x-min-position")),
            as_of=instant(as_of) if as_of else None,
        )

    def shows(self, version: int | None, lag: int) -> None:
        self._told.version, self._told.lag = version, max(lag, self._told.lag)

    def follows_more(self) -> None:
        """Say that the answer may change without a new version, so it is never "not modified"."""
        self._told.whole = True

    @property
    def workspace(self) -> Workspace:
        return self.find(Workspace, self.tenant)

    @property
    def user(self) -> UUID:
        return self.principal.user


def _position(header: str | None) -> int:
    if header is None:
        return 0
    if not (header.isascii() and header.isdigit() and len(header) < 19):
        raise BadInput("X-Min-Position is a position, such as 1024.")
    return int(header)


Reading = NamedDependency[RequestReader]
