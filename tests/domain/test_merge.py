"""Merges of clients: what they fill in, what can be taken apart again."""

from decimal import Decimal
from uuid import UUID

import pytest

from zeroinvoice.domain.account import Account, AccountDebited
from zeroinvoice.domain.client import (
    Client,
    ClientAbsorbed,
    ClientAdded,
    ClientMergeUndone,
    ClientReturned,
    ClientsMerged,
    Profile,
)
from zeroinvoice.domain.merge import Link, Merge, MergeDisentangled, MergeEntangled, MergeRecorded
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Missing, Refused

ONE, TWO, THREE, FOUR = (UUID(int=it) for it in range(1, 5))
ACME = Profile("Acme", "USD")
FULL = Profile("Acme", "USD", tax_id="T1", notes="Theirs")
made = MergeRecorded(
    primary_id=ONE,
    duplicates=(TWO,),
    contact_strategy="keep_all",
    note=None,
    before=ACME,
    after=FULL,
    filled=(),
    brought=(),
    primary_contact=None,
    defaults=(),
)
link = Link("payment", THREE, THREE, ONE, FOUR, TWO)


def merged(merge_id: UUID, *homes: UUID, depth: int = 1) -> ClientsMerged:
    return ClientsMerged(
        merge_id=merge_id,
        duplicates=homes[:1],
        homes=homes,
        depth=depth,
        aliases=("x",),
        profile=FULL,
    )


def test_a_client_stands_for_all_that_were_merged_into_it() -> None:
    """A3-10: the furthest home counts for the length of a chain."""
    client = Client.after(ClientAdded(ACME), merged(THREE, TWO), merged(FOUR, ONE, TWO, depth=3))
    assert client.homes[1:] == (TWO, ONE, TWO)
    assert (client.depth, client.since, client.aliases) == (3, 3, ("x", "x"))
    assert client.profile == FULL


def test_the_latest_merge_is_undone_first() -> None:
    """A3-15: the one before it waits."""
    client = Client.after(ClientAdded(ACME), merged(THREE, ONE), merged(FOUR, TWO))
    with pytest.raises(Refused) as no:
        list(client.undo_merge(THREE, ACME))
    assert (no.value.code, no.value.details) == ("later_merge_exists", {"merge_id": str(FOUR)})
    assert list(client.undo_merge(FOUR, ACME)) == [ClientMergeUndone(FOUR, (TWO,), ACME)]
    after = Client.after(
        ClientAdded(ACME), merged(THREE, ONE), ClientMergeUndone(THREE, (ONE,), ACME)
    )
    assert (after.homes[1:], after.profile, after.merges) == ((), ACME, (THREE,))


def test_a_merged_client_is_known_and_takes_nothing() -> None:
    """A3-12: until it comes back."""
    gone = Client.after(ClientAdded(ACME), ClientAbsorbed(THREE, TWO))
    gone.assert_known()
    for verb in (gone.assert_there, gone.assert_billable, gone.assert_mergeable):
        with pytest.raises(Refused) as no:
            verb()
        assert (no.value.code, no.value.details) == ("client_merged", {"merged_into": str(TWO)})
    with pytest.raises(Refused):
        list(gone.merge_away(FOUR, TWO))
    back = Client.after(
        ClientAdded(ACME), ClientAbsorbed(THREE, TWO), ClientReturned(THREE, (ONE,))
    )
    back.assert_billable()
    assert list(back.merge_away(FOUR, TWO)) == [ClientAbsorbed(FOUR, TWO)]


def test_only_what_is_as_the_merge_left_it_goes_back() -> None:
    """A3-13: a field that was changed since is kept, and named."""
    merge = Merge.after(made)
    assert merge.restored(FULL) == (ACME, ())
    changed = FULL.but(notes="Mine")
    assert merge.restored(changed) == (ACME.but(notes="Mine"), ("notes",))
    assert merge.restored(FULL.but(phone="1")) == (ACME.but(phone="1"), ())


def test_a_merge_knows_what_has_grown_together_since() -> None:
    """A3-14: a link is forgotten when its payment is taken back."""
    merge = Merge.after(made)
    assert list(merge.entangle((link,))) == [MergeEntangled((link,))]
    tied = Merge.after(made, MergeEntangled((link,)))
    assert tied.links == (link,)
    assert list(tied.disentangle(FOUR)) == []
    assert list(tied.disentangle(THREE)) == [MergeDisentangled(THREE)]
    assert Merge.after(made, MergeEntangled((link,)), MergeDisentangled(THREE)).links == ()


def test_a_merge_is_undone_once() -> None:
    """A3-15."""
    merge = Merge.after(made)
    (undone,) = merge.undo(("notes",), (link,))
    again = Merge.after(made, undone)
    with pytest.raises(Refused) as no:
        list(again.undo((), ()))
    assert no.value.code == "merge_undone"


def test_a_client_with_merges_is_archived_rather_than_deleted() -> None:
    """A3-4: its id leads the merged ones to whom they belong."""
    client = Client.after(ClientAdded(ACME), merged(THREE, TWO))
    (event,) = client.remove(has_history=False)
    assert type(event).__name__ == "ClientArchived"
    with pytest.raises(Missing):
        Client.after(ClientAdded(ACME)).but(deleted=True).assert_known()


def test_what_is_owed_beside_counts_towards_the_limit() -> None:
    """A3-7: accounts of merged clients are one for the limit."""
    money = Money(Decimal("60.00"), "USD")
    limit = Money(Decimal("100.00"), "USD")
    assert list(Account().debit(ONE, money, limit)) == [AccountDebited(ONE, money)]
    with pytest.raises(Refused) as no:
        list(Account().debit(ONE, money, limit, beside=money))
    assert no.value.details["exposure"] == "120.00"
