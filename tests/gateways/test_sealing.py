"""Sealing: what is sealed opens with the same key and for the same thing, and not otherwise."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.gateways.sealing import DataKey, MasterKeys, Unsound, new_key
from zeroinvoice.kernel.refusals import Unavailable

TENANT, SUBJECT = UUID(int=1), UUID(int=2)
texts = st.text(max_size=60)
abouts = st.lists(st.text(max_size=10), max_size=4).map(tuple)
secrets = st.binary(min_size=32, max_size=32)


@given(texts, abouts, secrets)
def test_what_is_sealed_opens_again_and_is_sealed_the_same(
    text: str, about: tuple[str, ...], secret: bytes
) -> None:
    """A decision may be run again: with other bytes its fact would be another."""
    key = DataKey(SUBJECT, secret)
    sealed = key.seal(text, *about)
    assert key.open(sealed, *about) == text
    assert DataKey(SUBJECT, secret).seal(text, *about) == sealed
    assert len(text) < 4 or text not in sealed


@given(texts, abouts, abouts, secrets, secrets)
def test_it_opens_for_nothing_else(
    text: str, about: tuple[str, ...], other: tuple[str, ...], secret: bytes, another: bytes
) -> None:
    """A6-3 and T31: neither for another tenant, client, account or field, nor with another key."""
    key = DataKey(SUBJECT, secret)
    sealed = key.seal(text, *about)
    if other != about:
        with pytest.raises(Unsound):
            key.open(sealed, *other)
    if another != secret:
        with pytest.raises(Unsound):
            DataKey(SUBJECT, another).open(sealed, *about)


@given(st.integers(0, 10_000))
def test_one_changed_character_is_noticed(place: int) -> None:
    key = DataKey(SUBJECT, bytes(32))
    sealed = key.seal("DE89370400440532013000", "a", "b")
    at = place % (len(sealed) - 2)  # the last characters may be padding
    changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
    with pytest.raises(Unsound):
        key.open(changed, "a", "b")


def test_a_boundary_between_two_parts_cannot_be_moved() -> None:
    key = new_key(SUBJECT)
    with pytest.raises(Unsound):
        key.open(key.seal("text", "ab", "c"), "a", "bc")


def test_no_nonce_is_used_for_two_texts() -> None:
    """T31: a million of them under one key."""
    key = new_key(SUBJECT)
    nonces = {key.seal(str(n))[:16] for n in range(1_000_000)}
    assert len(nonces) == 1_000_000


def test_a_key_that_is_wrapped_belongs_to_its_tenant_and_its_subject() -> None:
    owner, key = new_key(TENANT), new_key(SUBJECT)
    wrapped = owner.wrap(TENANT, key)
    assert owner.unwrap(TENANT, SUBJECT, wrapped).open(key.seal("x"), *()) == "x"
    for tenant, id in ((uuid4(), SUBJECT), (TENANT, uuid4())):
        with pytest.raises(Unsound):
            owner.unwrap(tenant, id, wrapped)
    with pytest.raises(Unsound):
        new_key(TENANT).unwrap(TENANT, SUBJECT, wrapped)


def test_of_several_master_keys_the_first_wraps_and_all_unwrap() -> None:
    """T45."""
    old, new = bytes(32), bytes([1] * 40)
    before, during, after = MasterKeys([old]), MasterKeys([new, old]), MasterKeys([new])
    key = new_key(SUBJECT)
    wrapped = before.wrap(TENANT, key)
    assert during.unwrap(TENANT, SUBJECT, before.current, wrapped).open(key.seal("x")) == "x"
    assert (during.current, during.former) == (after.current, [before.current])
    with pytest.raises(Unavailable) as no:
        after.unwrap(TENANT, SUBJECT, before.current, wrapped)
    assert no.value.code == "master_key_missing"
    with pytest.raises(Unsound):
        after.unwrap(TENANT, SUBJECT, after.current, wrapped)


def test_fingerprints_are_equal_for_equal_texts_of_one_workspace_only() -> None:
    """A6-3."""
    one, other = new_key(TENANT), new_key(TENANT)
    assert one.fingerprint("bank-number", "x") == one.fingerprint("bank-number", "x")
    assert one.fingerprint("bank-number", "x") != one.fingerprint("bank-number", "y")
    assert one.fingerprint("bank-number", "x") != other.fingerprint("bank-number", "x")


def test_keys_are_not_printed() -> None:
    """T32."""
    secret = b"0123456789abcdef0123456789abcdef"
    for shown in (repr(DataKey(SUBJECT, secret)), repr(MasterKeys([secret]))):
        assert secret.decode() not in shown
        assert secret.hex() not in shown
