"""The audit log as it is asked: all of it, by text, of one person, of oneself, or as a file."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath, QueryParameter

from projections.audit import AuditEntry, audit
from projections.audit_export import TYPES, Form, exported
from projections.audit_question import ASKED, AskedOf, AuditQuestion, find
from zeroinvoice.domain.access_day import View
from zeroinvoice.domain.user import User
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.parts import Parts, Sharing
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.refusals import BadInput, Missing
from zeroinvoice.readside.paging import Page, Paging

it = audit.c

FILES = tuple(TYPES.values())
Format = Annotated[
    Form,
    QueryParameter(description="`csv` and `jsonl` hand out all entries, oldest first, as a file"),
]


@get("/audit/logs", may="audit:read", as_of="instant", files=FILES, dependencies=ASKED)
def browse(
    reader: Reading, listing: Listing, asked: AskedOf, parts: Sharing, format: Format = "json"
) -> Response[Page[AuditEntry]]:
    """List what was done in the workspace, newest first.

    Reading it is an entry itself. A file names the workspace's signed head.
    """
    return _answered(reader, "logs", asked, listing, parts, format)


@get("/audit/search", may="audit:read", as_of="instant", files=FILES, dependencies=ASKED)
def search(
    reader: Reading, listing: Listing, asked: AskedOf, parts: Sharing, format: Format = "json"
) -> Response[Page[AuditEntry]]:
    """Search the audit log for a text, `q`, newest first; it takes every filter of the log."""
    if asked.text is None:
        raise BadInput("Say what to look for.", pointer="?q")
    return _answered(reader, "search", asked, listing, parts, format)


@get("/audit/user/{user_id:uuid}/activity", may="audit:read", as_of="instant", dependencies=ASKED)
def user_activity(
    user_id: FromPath[UUID], reader: Reading, listing: Listing, asked: AskedOf
) -> Page[AuditEntry]:
    """List what one user did, newest first; whoever left the workspace keeps their history."""
    _assert_known(reader, user_id)
    return _activity(reader, "user_activity", user_id, asked, listing)


@get("/audit/my-activity", may="account", as_of="instant", dependencies=ASKED)
def my_activity(reader: Reading, listing: Listing, asked: AskedOf) -> Page[AuditEntry]:
    """List what you did yourself, newest first."""
    return _activity(reader, "my_activity", reader.user, asked, listing)


def _answered(
    reader: RequestReader,
    view: View,
    asked: AuditQuestion,
    listing: Paging,
    parts: Parts,
    form: Form,
) -> Response[Any]:
    if form != "json":
        if listing.cursor or listing.sort:
            raise BadInput("A file holds all entries, oldest first.", pointer="?format")
        return exported(reader, asked, parts, form)
    found = find(reader, asked, listing)
    asked.put_on_record(reader, view)
    return Response(found)


def _activity(
    reader: RequestReader, view: View, user: UUID, asked: AuditQuestion, listing: Paging
) -> Page[AuditEntry]:
    if asked.actors:
        raise BadInput("The actor is the user already.", pointer="?actor")
    theirs = asked.but(actors=(str(user),))
    found = find(reader, theirs, listing)
    theirs.put_on_record(reader, view)
    return found


def _assert_known(reader: RequestReader, user: UUID) -> None:
    """Raises `Missing` unless they are, or ever were, of this workspace."""
    if reader.workspace.role_of(user) is None and not reader.find(User, user).version:
        acted = reader.mine(audit, it.position).where(it.actor_id == user, it.actor_kind == "user")
        if not reader.rows(acted.limit(1)):
            raise Missing("There is no such user.")


routes = [browse, search, user_activity, my_activity]
