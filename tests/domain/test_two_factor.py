"""Second factors: secrets and codes, without anything around them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.two_factor import (
    BACKUP_CODES,
    MOST_WRONG,
    BackupCodeUsed,
    FactorKeys,
    Proof,
    TwoFactor,
    TwoFactorCodeAccepted,
    TwoFactorCodeRefused,
    TwoFactorCodesRegenerated,
    TwoFactorDisabled,
    TwoFactorEnabled,
    TwoFactorPrepared,
    code_of,
    otpauth_uri,
    step_of,
)
from zeroinvoice.kernel.refusals import Refused, Throttled
from zeroinvoice.kernel.secrets import Keyring

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
USER, SECRET, CODES = uuid4(), uuid4(), uuid4()
KEYS = FactorKeys(USER, Keyring(b"u" * 32).seal, Keyring(b"k" * 32))
STEP = step_of(NOW)
prepared = TwoFactorPrepared(USER, SECRET)
enabled = TwoFactorEnabled(STEP - 5, tuple(KEYS.hashed(it) for it in KEYS.backup_codes(CODES)))


def code(step: int = STEP) -> Proof:
    return Proof(KEYS, code_of(KEYS.secret(SECRET), step))


def wrong(at: datetime = NOW) -> Proof:
    near = {code_of(KEYS.secret(SECRET), step_of(at) + n) for n in (-1, 0, 1)}
    return Proof(
        KEYS, next(it for it in ("000000", "000001", "000002", "000003") if it not in near)
    )


def refused(many: int, every: timedelta = timedelta(seconds=1)) -> TwoFactor:
    """A factor that is on, after so many wrong codes, the first of them now."""
    factor = TwoFactor.after(prepared, enabled)
    for n in range(many):
        factor = factor.told(TwoFactorCodeRefused(), NOW + n * every)
    return factor


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(seconds: int, expected: str) -> None:
    """A2-3: RFC 6238, appendix B, the last six of its digits."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert code_of("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", step_of(at)) == expected


def test_a_secret_has_160_bits_and_is_anothers_for_another_user() -> None:
    """A2-1."""
    assert len(KEYS.secret(SECRET)) == 32
    assert KEYS.secret(SECRET) == KEYS.secret(SECRET) != KEYS.secret(uuid4())
    other = FactorKeys(USER, Keyring(b"v" * 32).seal, KEYS.keyring)
    assert other.secret(SECRET) != KEYS.secret(SECRET)
    assert KEYS.secret(SECRET) in otpauth_uri(KEYS.secret(SECRET), "a@example.com")


@given(st.uuids())
def test_backup_codes_are_distinct_and_are_read_as_people_write(id: UUID) -> None:
    """A2-6: Crockford's letters, so that I, L and O are no riddle."""
    codes = KEYS.backup_codes(id)
    assert len(set(codes)) == BACKUP_CODES
    for it in codes:
        assert len(it.replace("-", "")) == 16
        assert not set(it) & set("ILOU")
        spelt = it.lower().replace("-", " ").replace("0", "O").replace("1", "l")
        assert KEYS.hashed(spelt) == KEYS.hashed(it)
    assert FactorKeys(uuid4(), KEYS.derive, KEYS.keyring).hashed(codes[0]) != KEYS.hashed(codes[0])


def test_a_secret_is_prepared_again_until_it_is_in_use() -> None:
    """A2-1."""
    other = uuid4()
    factor = TwoFactor.after(prepared)
    assert list(factor.prepare(USER, other)) == [TwoFactorPrepared(USER, other)]
    assert not factor.on
    with pytest.raises(Refused, match="already"):
        list(TwoFactor.after(prepared, enabled).prepare(USER, other))


def test_the_first_code_switches_it_on() -> None:
    """A2-2: and a wrong one does not."""
    factor = TwoFactor.after(prepared)
    (event,) = factor.enable(code(), CODES, NOW)
    assert event == TwoFactorEnabled(STEP, enabled.backup_hashes)
    assert list(factor.enable(wrong(), CODES, NOW)) == [TwoFactorCodeRefused()]
    with pytest.raises(Refused, match="No second factor was set up"):
        list(TwoFactor().enable(code(), CODES, NOW))


@given(st.lists(st.integers(-3, 3), max_size=8))
def test_a_code_is_good_once_within_its_window_and_never_after_a_later_one(steps: Any) -> None:
    """A2-3, T11."""
    factor, latest = TwoFactor.after(prepared, enabled), STEP - 5
    for n in steps:
        factor = factor.but(wrong_at=())
        good = -1 <= n <= 1 and STEP + n > latest
        (event,) = factor.prove(code(STEP + n), NOW)
        assert isinstance(event, TwoFactorCodeAccepted) == good
        factor = factor.told(event, NOW)
        if good:
            latest = STEP + n
            assert event == TwoFactorCodeAccepted(latest)


def test_the_fifth_wrong_code_costs_the_rest_of_ten_minutes() -> None:
    """A2-4."""
    assert list(refused(MOST_WRONG - 1).prove(code(), NOW)) == [TwoFactorCodeAccepted(STEP)]
    factor = refused(MOST_WRONG)
    with pytest.raises(Throttled) as locked:
        list(factor.prove(code(), NOW + timedelta(minutes=4)))
    assert locked.value.retry_after == 360
    later = NOW + timedelta(minutes=10)
    assert list(factor.prove(code(step_of(later)), later)) == [
        TwoFactorCodeAccepted(step_of(later))
    ]
    slow = refused(MOST_WRONG, every=timedelta(minutes=3))
    assert not slow.locked(NOW + timedelta(minutes=12))


def test_a_right_code_forgets_the_wrong_ones() -> None:
    """A2-4."""
    factor = refused(MOST_WRONG - 1).told(TwoFactorCodeAccepted(STEP), NOW)
    assert factor.convinced


def test_each_backup_code_is_good_once() -> None:
    """A2-7."""
    factor = TwoFactor.after(prepared, enabled)
    proof = Proof(KEYS, backup_code=KEYS.backup_codes(CODES)[3])
    (used,) = factor.prove(proof, NOW)
    assert used == BackupCodeUsed(enabled.backup_hashes[3], 9)
    assert list(factor.told(used, NOW).prove(proof, NOW)) == [TwoFactorCodeRefused()]


def test_new_backup_codes_void_the_old() -> None:
    """A2-6."""
    factor, other = TwoFactor.after(prepared, enabled), uuid4()
    (event,) = factor.regenerate(KEYS, other)
    assert isinstance(event, TwoFactorCodesRegenerated)
    assert not set(event.backup_hashes) & set(enabled.backup_hashes)
    old = Proof(KEYS, backup_code=KEYS.backup_codes(CODES)[0])
    assert list(factor.told(event, NOW).prove(old, NOW)) == [TwoFactorCodeRefused()]


def test_what_is_off_proves_nothing() -> None:
    """A2-5: and its codes are void."""
    factor = TwoFactor.after(prepared, enabled, TwoFactorDisabled())
    assert (factor.on, factor.backup_hashes) == (False, ())
    with pytest.raises(Refused, match="No second factor is on"):
        list(factor.prove(code(), NOW))


def test_what_is_shown_as_a_proof_is_in_no_log() -> None:
    """T32."""
    assert code().code not in repr(code())
