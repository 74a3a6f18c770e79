"""The clientele: decisions about a client that also concern numbers, external ids, accounts."""

from collections.abc import Callable
from uuid import UUID

from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.external_id import ExternalId, external_id_of
from zeroinvoice.domain.series import NumberSeries, series_id
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.refusals import Invalid

Change = Callable[[Profile], Profile]


def add(desk: Desk, change: Change) -> Client:
    """Take up a client under the next number of the series, or the one chosen for it.

    `change` is given a blank profile in the base currency. Raises `Refused` for a number or an
    external id that is taken.
    """
    client = desk.new(Client)
    settings = desk.open(Workspace, desk.tenant).settings
    profile = change(Profile(name="", currency=settings.base_currency))
    profile.check()
    profile = profile.but(number=_numbered(desk, client, profile.number))
    _hold_external_id(desk, client, profile)
    return desk.record(client, client.add(profile))


def revise(desk: Desk, client_id: UUID, change: Change, archived: bool | None) -> Client:
    """Change some of a client's profile; put the client away or bring it back."""
    client = desk.open(Client, client_id)
    client.assert_there()
    profile = change(client.profile)
    profile.check()
    if profile.number != client.profile.number:
        if profile.number is None:
            raise Invalid("A client keeps a number; give another one.", code="number_needed")
        _numbered(desk, client, profile.number)
    _hold_external_id(desk, client, profile)
    history = has_history(desk, client)
    return desk.record(client, client.revise(profile, archived, has_history=history))


def remove(desk: Desk, client_id: UUID) -> Client:
    """Delete a client without financial history; archive one with it."""
    client = desk.open(Client, client_id)
    gone = desk.record(client, client.remove(has_history=has_history(desk, client)))
    if gone.deleted:
        let_go(desk, client)
    return gone


def let_go(desk: Desk, client: Client) -> None:
    """Let go of the external id of a client who is no more."""
    _hold_external_id(desk, client, client.profile.but(external_id=None))


def has_history(desk: Desk, client: Client) -> bool:
    """Whether anything was ever issued, paid or credited, here or at a client it stands for."""
    accounts = (account_of(desk.tenant, home) for home in client.homes)
    return any(desk.find(Account, it).version for it in accounts)


def _numbered(desk: Desk, client: Client, chosen: str | None) -> str:
    settings = desk.open(Workspace, desk.tenant).settings
    series = desk.find(NumberSeries, series_id(desk.tenant, "client"))
    day = local_day(desk.now, settings.time_zone)
    # The day moves back when the workspace moves west; that is no reason to take no client.
    rules = settings.numbering("client").but(chronology="warn")
    (taken,) = series.take(client.id, day, rules, chosen=chosen)
    desk.record(series, [taken])
    return taken.number


def _hold_external_id(desk: Desk, client: Client, profile: Profile) -> None:
    """Claim the external id the client shall have, and let go of the one it had."""
    before, after = client.profile.external_id, profile.external_id
    if before == after:
        return
    if after is not None:
        wanted = desk.find(ExternalId, external_id_of(desk.tenant, "client", after))
        desk.record(wanted, wanted.claim(client.id))
    if before is not None:
        left = desk.find(ExternalId, external_id_of(desk.tenant, "client", before))
        desk.record(left, left.release(client.id))
