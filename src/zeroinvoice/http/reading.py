"""Reading: the reader of a request, with its instant, its position and its 304."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from zeroinvoice.domain.principal import Asking, Principal, not_permitted
from zeroinvoice.domain.roles import Permission
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.access_log import AccessLog, Verb
from zeroinvoice.http.bodies import check_text
from zeroinvoice.http.edge import told
from zeroinvoice.http.origins import origin_of
from zeroinvoice.http.past import AS_OF
from zeroinvoice.http.routes import permissions
from zeroinvoice.kernel.facts import Origin
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.readside.reader import Books, Reader, instant, not_yet

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
        accesses: AccessLog | None = None,
    ) -> None:
        for name, value in request.query_params.multi_items():
            check_text(value, f"?{name}")
            # The decoder would take a number for the seconds since 1970.
            if name in INSTANTS and not _INSTANT.fullmatch(value):
                raise BadInput("Give an instant such as 2026-03-31T23:59:59Z.", pointer=f"?{name}")
        self.principal = principal
        as_of = _as_of(request)
        by_day = as_of is not None and request.route_handler.opt.get(AS_OF) == "day"
        self.as_of_day = _day(as_of) if as_of is not None and by_day else None
        self._told = told(request.scope)
        self._request, self._accesses = request, accesses
        self._needed: list[Permission] = [*permissions(request.route_handler)]
        self._admitted = admitted
        super().__init__(
            books,
            principal.tenant,
            now,
            standing=principal.standing,
            admit=self._let_in,
            min_position=_position(request.headers.get("x-min-position")),
            as_of=instant(as_of, now) if as_of is not None and self.as_of_day is None else None,
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
    def origin(self) -> Origin:
        """Who asks, from where and why."""
        return origin_of(self._request, self.principal.actor)

    def on_record(self, verb: Verb) -> None:
        """Put on record what is read here, as an access of whoever asks.

        Call it last: the answer may only be given once this has returned.
        """
        assert self._accesses is not None, "nothing that this reader shows goes on record"
        self._accesses.record(self.principal, self.origin, verb)

    @property
    def workspace(self) -> Workspace:
        """The workspace, as it was at `as_of` when the request names an instant."""
        return self.then(Workspace, self.tenant)

    def day(self, asked: date | None) -> date:
        """The business day that is asked about, as `date` or as a day for `as_of`; else today.

        Today is that of the instant whose knowledge is asked for, in the zone of then. Raises
        `BadInput` for a day after it, of another age, or given twice.
        """
        if asked is not None and self.as_of_day is not None:
            raise BadInput("Give the day once, as date; as_of is the instant.", pointer="?date")
        today = self.today(self.workspace.settings.time_zone)
        day = asked or self.as_of_day or today
        name = "as_of" if asked is None else "date"
        check_day(day, f"?{name}")
        if day > today:
            raise not_yet(f"{name} is still to come; the latest day is {today}.", name)
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


def _as_of(request: Request[Any, Any, Any]) -> str | None:
    given: list[str] = request.query_params.getall(AS_OF, [])
    if len(given) > 1:
        raise BadInput("Give one as_of.", pointer="?as_of")
    return given[0] if given else None


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
BusinessDay = Annotated[
    date | None,
    QueryParameter(name="date", description="the business day that is asked about, at its end"),
]
