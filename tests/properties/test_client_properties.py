"""Clients: what holds for any settings, addresses and claims."""

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain import clientele
from zeroinvoice.domain.addresses import COUNTRIES, Address, rewritten
from zeroinvoice.domain.client import Client, ClientAdded, PaymentSettings, Profile, inherited
from zeroinvoice.domain.workspace import Settings, Workspace, WorkspaceOpened
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.refusals import Refused

amounts = st.none() | st.integers(0, 10**6).map(lambda n: Decimal(n) / 100)
flags = st.none() | st.booleans()
terms = st.none() | st.sampled_from(["net 7", "eom", "due_on_receipt"])
settings = st.builds(
    PaymentSettings,
    default_terms=terms,
    reminders_enabled=flags,
    allowed_methods=st.none() | st.just(("card",)),
    autopay=flags,
    allow_partial=flags,
    allow_overpayment=flags,
    min_partial_amount=amounts,
    statement_schedule=st.none() | st.sampled_from(["weekly", "none"]),
    credit_limit=amounts,
)
workspaces = st.builds(
    Settings,
    name=st.just("Test"),
    default_terms=st.sampled_from(["net 30", "eom"]),
    overpayment=st.sampled_from(["refuse", "credit"]),
)
texts = st.none() | st.text(string.ascii_letters + " \n", max_size=12)
addresses = st.builds(
    Address,
    texts,
    st.lists(st.text(string.ascii_letters, max_size=8), max_size=3).map(tuple),
    texts,
    texts,
    texts,
    st.none() | st.sampled_from(sorted(COUNTRIES)),
)


@given(settings, terms, workspaces)
def test_what_is_set_holds_and_the_rest_is_inherited(
    own: PaymentSettings, payment_terms: str | None, workspace: Settings
) -> None:
    client = Client.after(ClientAdded(Profile("A", "USD", payment_terms=payment_terms))).but(
        settings=own
    )
    holds, below = client.pays(workspace), inherited(workspace)
    for name in own.__struct_fields__:
        mine = getattr(own, name)
        if name == "default_terms" and payment_terms is not None:
            mine = payment_terms
        assert getattr(holds, name) == (getattr(below, name) if mine is None else mine)


@given(settings)
def test_settings_over_nothing_are_themselves_and_nothing_changes_nothing(
    own: PaymentSettings,
) -> None:
    assert own.over(PaymentSettings()) == PaymentSettings().over(own) == own.over(own) == own


@given(addresses)
def test_an_address_sent_back_as_it_was_shown_does_not_change(address: Address) -> None:
    tidy = address.tidied()
    assert tidy.tidied() == tidy
    assert tidy.block is None or rewritten(tidy, tidy.block) == tidy
    assert tidy.block != ""


@dataclass
class Books:
    """A tenant's streams in memory, on which one decision after another is made."""

    states: dict[UUID, Any] = field(default_factory=dict)

    def decide(self, decision: Callable[[Desk], Any]) -> Any:
        opening = WorkspaceOpened(NIL, Settings("Test"))
        self.states.setdefault(NIL, Workspace.after(opening))

        def look(kind: Any, place: Any) -> Any:
            return self.states.get(place[1], kind(id=place[1]))

        desk = Desk(NIL, datetime(2026, 1, 1, tzinfo=UTC), look)
        answer = decision(desk)
        self.states.update({place[1]: state for place, state in desk.opened.items()})
        return answer


def _renamed(desk: Desk, id: UUID, change: Callable[[Profile], Profile]) -> Client:
    return clientele.revise(desk, id, change, None)


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "rename", "delete"]),
        st.sampled_from([None, "x", "y"]),
        st.integers(0, 5),
    ),
    max_size=12,
)


@given(steps)
def test_no_two_clients_ever_share_a_number_or_an_external_id(
    asked: list[tuple[str, str | None, int]],
) -> None:
    """Whatever is added, renamed and deleted; and what is refused changes nothing."""
    books, ids = Books(), []
    for step, external_id, which in asked:
        before = dict(books.states)

        def change(profile: Profile, external_id: str | None = external_id) -> Profile:
            return profile.but(name="A", external_id=external_id)

        try:
            if step == "add":
                ids.append(books.decide(partial(clientele.add, change=change)).id)
            elif ids and not books.states[ids[which % len(ids)]].deleted:
                id = ids[which % len(ids)]
                if step == "rename":
                    books.decide(partial(_renamed, id=id, change=change))
                else:
                    books.decide(partial(clientele.remove, client_id=id))
        except Refused:
            assert books.states == before
        clients = [books.states[id] for id in ids]
        held = [it.profile.external_id for it in clients if not it.deleted]
        named = [it for it in held if it is not None]
        assert len(named) == len(set(named))
        assert [it.profile.number for it in clients] == [
            f"C-{n:05}" for n in range(1, len(ids) + 1)
        ]
