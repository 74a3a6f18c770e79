"""API keys, without anything around them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zeroinvoice.domain.api_key import (
    LONGEST,
    ApiKey,
    ApiKeyIssued,
    ApiKeyRevoked,
    ApiKeyUsed,
    digest,
    key_token,
    place_of,
)
from zeroinvoice.domain.roles import ALL, FOR_KEYS, Permission
from zeroinvoice.kernel.refusals import Invalid, Unauthenticated
from zeroinvoice.kernel.secrets import Keyring

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEYRING = Keyring(b"k" * 32)
SECOND = timedelta(seconds=1)
TOKEN = key_token(KEYRING, UUID(int=1), UUID(int=2))
issued = ApiKeyIssued(
    "Shop", ("clients:read",), NOW + timedelta(days=90), digest(TOKEN), TOKEN[-4:]
)
key = ApiKey.after(issued)


def issue(**more: Any) -> list[Any]:
    asked = {
        "name": "Shop",
        "permissions": ("clients:read",),
        "expires_at": None,
        "token": TOKEN,
        "now": NOW,
        **more,
    }
    return list(ApiKey().issue(**asked))


def test_a_key_lasts_ninety_days_unless_it_is_said_otherwise() -> None:
    assert issue() == [issued]
    assert issue(name=" Shop ", permissions=("clients:read", "clients:read")) == [issued]
    until = NOW + LONGEST
    assert issue(expires_at=until) == [
        ApiKeyIssued("Shop", ("clients:read",), until, digest(TOKEN), TOKEN[-4:])
    ]


@pytest.mark.parametrize("expires_at", [NOW, NOW - SECOND, NOW + LONGEST + SECOND])
def test_a_key_expires_within_a_year(expires_at: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        issue(expires_at=expires_at)
    assert refused.value.code == "bad_expiry"


@pytest.mark.parametrize("permission", sorted(ALL))
def test_some_things_are_for_people_alone(permission: Permission) -> None:
    """T3: accounts, members, keys, and where money is sent to."""
    if permission in FOR_KEYS:
        assert issue(permissions=(permission,))
        return
    with pytest.raises(Invalid) as refused:
        issue(permissions=("clients:read", permission))
    assert refused.value.code == "not_for_keys"


def test_what_people_alone_may_do_is_written_down() -> None:
    assert {
        "account", "logout", "members:write", "keys:read", "keys:write", "bank_accounts:write",
        "clients:erase",
    } == ALL - FOR_KEYS  # fmt: skip


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"permissions": ()}, "no_permissions"),
        ({"name": " "}, "bad_name"),
        ({"name": "x" * 101}, "bad_name"),
        ({"name": "a\nb"}, "bad_name"),
    ],
)
def test_a_key_has_a_name_and_a_use(more: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        issue(**more)
    assert refused.value.code == code


def test_only_its_own_token_opens_it_and_only_while_it_stands() -> None:
    """Row auth: wrong, expired and revoked are 401."""
    key.assert_good(digest(TOKEN), NOW)
    key.assert_good(digest(TOKEN), issued.expires_at - SECOND)
    refused = [
        (key, digest(TOKEN[:-1] + "x"), NOW),
        (key, "", NOW),
        (key, digest(TOKEN), issued.expires_at),
        (ApiKey.after(issued, ApiKeyRevoked()), digest(TOKEN), NOW),
        (ApiKey(), "", NOW),  # one that was never issued
        (ApiKey(), digest(TOKEN), NOW),
    ]
    for it, token_hash, now in refused:
        with pytest.raises(Unauthenticated):
            it.assert_good(token_hash, now)


def test_its_use_is_noted_once_a_day_and_its_end_once() -> None:
    today, tomorrow = date(2026, 3, 2), date(2026, 3, 3)
    used = ApiKey.after(issued, ApiKeyUsed(today))
    assert list(key.use(today)) == [ApiKeyUsed(today)]
    assert list(used.use(today)) == []
    assert list(used.use(today - timedelta(days=1))) == []
    assert list(used.use(tomorrow)) == [ApiKeyUsed(tomorrow)]
    assert list(key.revoke()) == [ApiKeyRevoked()]
    assert list(ApiKey.after(issued, ApiKeyRevoked()).revoke()) == []


@given(st.uuids(), st.uuids())
def test_a_token_names_its_workspace_and_key_and_is_the_same_each_time(
    tenant: UUID, id: UUID
) -> None:
    token = key_token(KEYRING, tenant, id)
    assert token == key_token(KEYRING, tenant, id) != key_token(Keyring(b"x" * 32), tenant, id)
    assert place_of(token) == (tenant, id)
    assert token != key_token(KEYRING, tenant, uuid4())


@given(st.text(max_size=100) | st.integers(0, len(TOKEN) - 1).map(lambda n: TOKEN[:n]))
def test_a_text_of_another_form_names_no_key(text: str) -> None:
    with pytest.raises(Unauthenticated):
        place_of(text)


@given(st.integers(0, len(TOKEN) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_token_that_is_changed_in_one_place_opens_nothing(at: int, other: str) -> None:
    """T18: nor does one in the other case."""
    changed = TOKEN[:at] + other + TOKEN[at + 1 :]
    assume(changed != TOKEN)
    for text in (changed, TOKEN.swapcase(), TOKEN.lower()):
        with pytest.raises(Unauthenticated):
            key.assert_good(digest(text), NOW)
