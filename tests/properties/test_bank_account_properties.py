"""Bank accounts: whatever is done to them, each purpose that has any has exactly one default."""

import re
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.bank_accounts import AccountDetails, BankAccounts
from zeroinvoice.domain.bank_numbers import BankNumber, NumberWritten, check_bic, read
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused

CLIENT, KEY = UUID(int=1), UUID(int=2)
purposes = st.sampled_from(["refunds", "direct_debit", "info"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "revise", "remove"]),
        st.integers(0, 5),
        purposes,
        st.sampled_from([None, True, False]),
    ),
    max_size=25,
)


def taken(
    accounts: BankAccounts, verb: str, n: int, purpose: Any, default: bool | None
) -> BankAccounts:
    details = AccountDetails("Acme", "EUR", purpose)
    there = [it.id for it in accounts.accounts]
    id = there[n % len(there)] if there else UUID(int=9)
    match verb:
        case "add":
            fresh = next(it for k in range(100, 200) if (it := UUID(int=k)) not in there)
            number = BankNumber("other", f"ACCOUNT{n}").kept(
                str(n), "c2VhbGVk", sealed_by=KEY, sealed_for=CLIENT
            )
            events = accounts.add(CLIENT, fresh, details, number, default=default is True)
        case "revise":
            events = accounts.revise(id, details, default=default)
        case _:
            events = accounts.remove(id)
    for event in events:
        accounts = accounts.evolve(event)  # type: ignore[arg-type]  # a bank account's event
    return accounts


@given(steps)
def test_each_purpose_that_has_accounts_has_one_default(
    asked: list[tuple[str, int, Any, bool | None]],
) -> None:
    """A6-6 and A6-3; what is refused changes nothing."""
    accounts = BankAccounts()
    for step in asked:
        before = accounts
        try:
            accounts = taken(accounts, *step)
        except (Refused, Missing):
            assert accounts == before
        used = {it.details.purpose for it in accounts.accounts}
        assert {it.purpose for it in accounts.defaults} == used
        assert len(accounts.defaults) == len(used)
        for default in accounts.defaults:
            assert default.account_id is not None
            assert accounts.account(default.account_id).details.purpose == default.purpose
        prints = [it.number.fingerprint for it in accounts.accounts]
        assert len(set(prints)) == len(prints)


texts = st.text(max_size=40) | st.from_regex(re.compile("[A-Z]{2}[0-9]{2}[A-Z0-9 ]{8,30}"))
parts = st.none() | texts


@given(
    st.sampled_from(["iban", "us_ach", "uk", "au_bsb", "other"]),
    st.builds(
        NumberWritten,
        iban=parts,
        account_number=parts,
        routing_number=parts,
        sort_code=parts,
        bsb=parts,
    ),
)
def test_any_text_is_a_sound_number_or_is_refused_without_being_repeated(
    type: Any, written: NumberWritten
) -> None:
    """A6-2 and T32: whatever is sent, never a fault of ours."""
    number = said = None
    try:
        number = read(type, written)
    except Invalid as no:
        said = f"{no.message} {no.details}"
    if number is None:
        given = (getattr(written, name) or "" for name in written.__struct_fields__)
        assert not any(len(text.strip()) > 8 and text.strip() in (said or "") for text in given)
        return
    shown = str(number.masked)
    assert number.account not in shown
    assert number.account[: -len(number.last4)] not in shown or len(number.account) < 6
    assert len(number.last4) * 2 <= len(number.account)


@given(st.text(max_size=20) | st.from_regex(re.compile("[A-Z]{6}[A-Z0-9]{2,5}")))
def test_any_text_is_a_bic_or_is_refused(text: str) -> None:
    """A6-2."""
    with suppress(Invalid):
        assert check_bic(text).isalnum()


digits = st.lists(st.integers(0, 9), min_size=9, max_size=9)


@given(digits, st.integers(0, 8), st.integers(1, 9))
def test_one_mistyped_digit_of_a_routing_number_is_noticed(
    asked: list[int], place: int, by: int
) -> None:
    """A6-2: the weights 3, 7 and 1 have no factor in common with 10."""
    weights = (3, 7, 1) * 3
    total = sum(w * d for w, d in zip(weights[:8], asked[:8], strict=True))
    sound = [*asked[:8], -total % 10]
    if not any(sound):
        return

    def routed(number: list[int]) -> BankNumber:
        text = "".join(map(str, number))
        return read("us_ach", NumberWritten(account_number="1234567", routing_number=text))

    assert routed(sound).branch == "".join(map(str, sound))
    wrong = [*sound]
    wrong[place] = (wrong[place] + by) % 10
    with pytest.raises(Invalid):
        routed(wrong)
