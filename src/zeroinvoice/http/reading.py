"""Reading: the reader of a request, with its instant, its position and its 304."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from zeroinvoice.domain.principal import Asking, Principal, not_permitted
from zeroinvoice.domain.roles import Permission
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.bodies import check_text
from zeroinvoice.http.edge import told
from zeroinvoice.http.routes import permissions
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.readside.reader import Books, Reader, instant, not_yet

BY_DAY = "as_of_day"  # an option of routes whose `as_of` may be a day
FIRST_YEAR, LAST_YEAR = 1990, 2100
INSTANTS = frozenset({"from", "to", "created_from", "created_to", "updated_since"})
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?")  # or a day, where that will do
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class RequestReader(Reader):
    """A reader that knows who asks."""

    def __init__(
        self,
        books: Books,
        principal: Asking,
        now: datetime,
        request: Request[Any, Any, Any],
        admitted: Callable[[Asking], None] = lambda _: None,
    ) -> None:
        for name, value in request.query_params.multi_items():
            check_text(value, f"?{name}")
            # The decoder would take a number for the seconds since 1970.
            if name in INSTANTS and not _INSTANT.fullmatch(value):
                raise BadInput("Give an instant such as 2026-03-31T23:59:59Z.", pointer=f"?{name}")
        self.principal = principal
        as_of = request.query_params.get("as_of")
        self.as_of_day = _day(as_of) if as_of and request.route_handler.opt.get(BY_DAY) else None
        self._told = told(request.scope)
        self._needed: list[Permission] = [*permissions(request.route_handler)]
        self._admitted = admitted
        super().__init__(
            books,
            principal.tenant,
            now,
            standing=principal.standing,
            admit=self._let_in,
            min_position=_position(request.headers.get("x-min-position")),
            as_of=instant(as_of, now) if as_of and self.as_of_day is None else None,
        )

    def needs(self, permission: Permission) -> None:
        """Ask for one more permission than the route does; before anything is read."""
        self._needed.append(permission)

    def _let_in(self, streams: Reader) -> None:
        self.principal.admit(streams, self._needed)
        self._admitted(self.principal)

    def shows(self, version: int | None, lag: int) -> None:
        self._told.version, self._told.lag = version, max(lag, self._told.lag)

    def follows_more(self) -> None:
        """Say that the answer may change without a new version, so it is never "not modified"."""
        self._told.whole = True

    @property
    def workspace(self) -> Workspace:
        """The workspace, as it was at `as_of` when the request names an instant."""
        return self.then(Workspace, self.tenant)

    @property
    def day(self) -> date:
        """The day that is asked about: that of `as_of`, else today, in the workspace's zone.

        Raises `BadInput` for one that is still to come, or of another age.
        """
        today = self.today(self.workspace.settings.time_zone)
        day = self.as_of_day or today
        check_day(day, "?as_of")
        if day > today:
            raise not_yet(f"as_of is still to come; today is {today}.")
        return day

    @property
    def user(self) -> UUID:
        return self.person.user

    @property
    def person(self) -> Principal:
        """The person who asks. Raises `Forbidden` for an API key, which is nobody's account."""
        if not isinstance(self.principal, Principal):
            self._enter()  # a bad one is told so
            raise not_permitted("account")
        return self.principal


def check_day(day: date, pointer: str) -> None:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise BadInput(f"Give a day of the years {FIRST_YEAR} to {LAST_YEAR}.", pointer=pointer)


def _day(text: str) -> date | None:
    """The calendar day that `as_of` is, unless it is an instant. Raises `BadInput`."""
    if _DAY.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"There is no day {text}.", pointer="?as_of") from None


def _position(header: str | None) -> int:
    if header is None:
        return 0
    if not (header.isascii() and header.isdigit() and len(header) < 19):
        raise BadInput("X-Min-Position is a position, such as 1024.")
    return int(header)


Reading = NamedDependency[RequestReader]
