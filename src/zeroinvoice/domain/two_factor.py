"""Second factors: one-time codes of an authenticator (RFC 6238), and codes on paper beside them."""

import base64
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Self, assert_never
from uuid import UUID

from pyotp import TOTP

from zeroinvoice.kernel.facts import NIL, Event, Events, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.refusals import Refused, Throttled
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.kernel.value import Value

ISSUER = "ZeroInvoice"  # as an authenticator shows it
STEP = 30  # seconds for which one code stands
MOST_WRONG = 5  # codes within `WRONG_FOR`; then nobody is heard for the rest of it
WRONG_FOR = timedelta(minutes=10)
BACKUP_CODES = 10
FEW = 2  # backup codes, from which on their owner is told how few are left

BEFORE = datetime.min.replace(tzinfo=UTC)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AS_WRITTEN = str.maketrans("ILO", "110")  # how these three are read

# Events


class TwoFactorPrepared(Event):
    """A secret was shown to its owner. It is derived from this id and a key of theirs."""

    user_id: UUID
    secret_id: UUID


class TwoFactorEnabled(Event):
    """The first code of the prepared secret came."""

    step: int  # of that code: so many times 30 s since 1970
    backup_hashes: tuple[str, ...]


class TwoFactorCodeAccepted(Event):
    step: int


class TwoFactorCodeRefused(Event):
    """A wrong code, or one that was used before. What was typed is not kept."""


class BackupCodeUsed(Event):
    backup_hash: str
    left: int


class TwoFactorCodesRegenerated(Event):
    """New backup codes; the older ones are void."""

    backup_hashes: tuple[str, ...]


class TwoFactorDisabled(Event):
    pass


TwoFactorEvent = (
    TwoFactorPrepared
    | TwoFactorEnabled
    | TwoFactorCodeAccepted
    | TwoFactorCodeRefused
    | BackupCodeUsed
    | TwoFactorCodesRegenerated
    | TwoFactorDisabled
)

# Values


class FactorKeys(Value):
    """What a user's secrets are made from whenever one is needed, so that none is ever kept."""

    user: UUID
    derive: Callable[[str, str], str]  # 256 bits in base64 of a purpose and a text, by their key
    keyring: Keyring  # the installation's: what is stored of a code is bound to it, too

    def secret(self, id: UUID) -> str:
        """160 bits in base32, as authenticators take them."""
        bits = base64.urlsafe_b64decode(self.derive("totp", id.hex) + "=")
        return base64.b32encode(bits[:20]).decode()

    def backup_codes(self, id: UUID) -> tuple[str, ...]:
        """Codes of 80 bits each, such as 0123-4567-89AB-CDEF."""
        texts = (self.derive("backup-code", f"{id.hex}.{n}") for n in range(BACKUP_CODES))
        return tuple(_as_code(base64.urlsafe_b64decode(it + "=")) for it in texts)

    def hashed(self, code: str) -> str:
        """What is kept of a backup code, however it is typed."""
        return self.hashes(code)[0]

    def hashes(self, code: str) -> tuple[str, ...]:
        """The same, and what was kept of it under each former key of the installation."""
        plain = re.sub(r"[\s-]", "", code).upper().translate(_AS_WRITTEN)
        return self.keyring.seals("backup-code", f"{self.user.hex} {plain}")


class Proof(Value):
    """What somebody shows to prove that they hold the second factor: one of two codes."""

    keys: FactorKeys
    code: str | None = None  # six digits of the authenticator
    backup_code: str | None = None

    def __repr__(self) -> str:
        return "Proof(…)"


# State


class TwoFactor(State[TwoFactorEvent]):
    """A user's second factor, on or off; its id is made of theirs."""

    user_id: UUID = NIL
    pending: UUID | None = None  # the secret that was prepared, and is not in use yet
    secret_id: UUID | None = None  # the secret in use
    step: int = 0  # of the latest code that was accepted
    backup_hashes: tuple[str, ...] = ()  # of the codes that are left
    wrong_at: tuple[datetime, ...] = ()  # since the last right one; the latest `MOST_WRONG`

    @property
    def on(self) -> bool:
        return self.secret_id is not None

    @property
    def convinced(self) -> bool:
        """Whether the latest code was right."""
        return not self.wrong_at

    def evolve(self, event: TwoFactorEvent) -> Self:
        match event:
            case TwoFactorPrepared(user_id=user_id, secret_id=secret_id):
                return self.but(user_id=user_id, pending=secret_id)
            case TwoFactorEnabled(step=step, backup_hashes=hashes):
                return self.but(
                    secret_id=self.pending,
                    pending=None,
                    step=step,
                    backup_hashes=hashes,
                    wrong_at=(),
                )
            case TwoFactorCodeAccepted(step=step):
                return self.but(step=step, wrong_at=())
            case TwoFactorCodeRefused():
                wrong_at = (*self.wrong_at, self.changed_at or BEFORE)
                return self.but(wrong_at=wrong_at[-MOST_WRONG:])
            case BackupCodeUsed(backup_hash=used):
                left = tuple(it for it in self.backup_hashes if it != used)
                return self.but(backup_hashes=left, wrong_at=())
            case TwoFactorCodesRegenerated(backup_hashes=hashes):
                return self.but(backup_hashes=hashes)
            case TwoFactorDisabled():
                return self.but(secret_id=None, step=0, backup_hashes=())
            case _:
                assert_never(event)

    def prepare(self, user_id: UUID, secret_id: UUID) -> Events:
        """Have a secret shown; it replaces one that was never used."""
        if self.on:
            raise Refused("A second factor is on already.", code="two_factor_on")
        yield TwoFactorPrepared(user_id, secret_id)

    def enable(self, proof: Proof, codes_id: UUID, now: datetime) -> Events:
        """Switch the prepared secret on by a code of it, or count a wrong one."""
        if self.on:
            raise Refused("A second factor is on already.", code="two_factor_on")
        if self.pending is None:
            raise Refused("No second factor was set up.", code="two_factor_not_prepared")
        self.admit(now)
        step = self.fresh_step(proof.keys.secret(self.pending), proof.code or "", now)
        if step is None:
            yield TwoFactorCodeRefused()
        else:
            yield TwoFactorEnabled(step, _hashes(proof.keys, codes_id))

    def prove(self, proof: Proof, now: datetime) -> Events:
        """Accept a code, which is then spent, or count a wrong one. Raises `Throttled`."""
        if self.secret_id is None:
            raise Refused("No second factor is on.", code="two_factor_off")
        self.admit(now)
        if proof.backup_code is not None:
            hashes = proof.keys.hashes(proof.backup_code)
            used = next((it for it in hashes if it in self.backup_hashes), None)
            if used is not None:
                yield BackupCodeUsed(used, len(self.backup_hashes) - 1)
                return
        elif proof.code is not None:
            step = self.fresh_step(proof.keys.secret(self.secret_id), proof.code, now)
            if step is not None:
                yield TwoFactorCodeAccepted(step)
                return
        yield TwoFactorCodeRefused()

    def regenerate(self, keys: FactorKeys, codes_id: UUID) -> Events:
        yield TwoFactorCodesRegenerated(_hashes(keys, codes_id))

    def disable(self) -> Events:
        yield TwoFactorDisabled()

    def admit(self, now: datetime) -> None:
        """Raises `Throttled` while too many codes were wrong."""
        if self.locked(now):
            left = (self.wrong_at[0] + WRONG_FOR - now).total_seconds()
            raise Throttled(
                "Too many codes were wrong; wait before the next.", retry_after=math.ceil(left)
            )

    def locked(self, now: datetime) -> bool:
        return len(self.wrong_at) == MOST_WRONG and now - self.wrong_at[0] < WRONG_FOR

    def fresh_step(self, secret: str, code: str, now: datetime) -> int | None:
        """The step a code stands for: now or one beside it, later than any that was accepted.

        So a code is good once, and none from before it afterwards (RFC 6238, 5.2).
        """
        current = step_of(now)
        for step in range(max(current - 1, self.step + 1), current + 2):
            if compare_digest(code_of(secret, step), code):
                return step
        return None


def step_of(at: datetime) -> int:
    return int(at.timestamp()) // STEP


def code_of(secret: str, step: int) -> str:
    """What an authenticator with that secret shows in a step: SHA-1, six digits."""
    return TOTP(secret).generate_otp(step)


def otpauth_uri(secret: str, email: str) -> str:
    """What a QR code tells an authenticator."""
    return TOTP(secret, name=email, issuer=ISSUER).provisioning_uri()


def two_factor_of(tenant: UUID, user_id: UUID) -> UUID:
    """The one stream of a user's second factor."""
    return named(tenant, "two-factor", str(user_id))


def _hashes(keys: FactorKeys, codes_id: UUID) -> tuple[str, ...]:
    return tuple(keys.hashed(it) for it in keys.backup_codes(codes_id))


def _as_code(bits: bytes) -> str:
    number = int.from_bytes(bits[:10])
    text = "".join(_CROCKFORD[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))
