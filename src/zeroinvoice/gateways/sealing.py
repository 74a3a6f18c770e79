"""Sealing: AES-256-GCM under keys that are themselves wrapped, each bound to what it is about."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zeroinvoice.kernel.refusals import Unavailable
from zeroinvoice.kernel.secrets import Keyring

NONCE = 12  # bytes, as NIST SP 800-38D has it


class Unsound(ValueError):
    """What was to be opened was changed, belongs elsewhere, or is sealed with another key."""


class DataKey:
    """The key of one subject, in clear for as long as a request needs it."""

    # Many are kept in memory; a cipher takes 2.5 kB there and a microsecond to be made anew.
    __slots__ = ("_nonces", "_secret", "_texts", "id")

    def __init__(self, id: UUID, secret: bytes) -> None:
        ring = Keyring(secret)
        self.id = id
        self._secret = secret
        self._texts = ring.key("text")
        self._nonces = ring.key("nonce")

    def __repr__(self) -> str:
        return f"DataKey({self.id})"

    def seal(self, text: str, *about: str) -> str:
        """The text as base64 of nonce, ciphertext and tag; it opens only with the same `about`.

        The nonce is made of all that goes in, so what is sealed again comes out the same, and
        no nonce serves for two different texts.
        """
        bound, plain = _bound(about), text.encode()
        told = len(bound).to_bytes(4, "big") + bound + plain
        nonce = hmac.new(self._nonces, told, hashlib.sha256).digest()[:NONCE]
        return base64.b64encode(nonce + AESGCM(self._texts).encrypt(nonce, plain, bound)).decode()

    def open(self, sealed: str, *about: str) -> str:
        """The text again. Raises `Unsound`."""
        return _opened(AESGCM(self._texts), base64.b64decode(sealed), _bound(about)).decode()

    def wrap(self, tenant: UUID, other: "DataKey") -> bytes:
        """Another key, readable only by this one."""
        return _wrapped(self._wrapping, tenant, other)

    def unwrap(self, tenant: UUID, id: UUID, wrapped: bytes) -> "DataKey":
        """A key that this one wrapped. Raises `Unsound`."""
        return _unwrapped(self._wrapping, tenant, id, wrapped)

    def fingerprint(self, purpose: str, text: str) -> str:
        """By which equal texts are recognised, and from which nobody else can tell the text."""
        return Keyring(self._secret).seal(purpose, text)

    @property
    def _wrapping(self) -> AESGCM:
        return AESGCM(Keyring(self._secret).key("wrap"))


class MasterKeys:
    """What wraps the keys of the vault, and is kept outside the database; the current one first.

    A master key is named by a hash of it, so each wrapped key can say which one it needs.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        rings = [Keyring(key) for key in keys]
        self._ciphers = {_name(ring): AESGCM(ring.key("master-wrap")) for ring in rings}
        self.current = next(iter(self._ciphers))

    def __repr__(self) -> str:
        return f"MasterKeys({', '.join(self._ciphers)})"

    def __contains__(self, name: str) -> bool:
        return name in self._ciphers

    @property
    def former(self) -> list[str]:
        """The names of those that are known besides the current one."""
        return [name for name in self._ciphers if name != self.current]

    def make(self, tenant: UUID, id: UUID) -> tuple[DataKey, bytes]:
        """A new key, and itself under the current master key."""
        key = new_key(id)
        return key, self.wrap(tenant, key)

    def wrap(self, tenant: UUID, key: DataKey) -> bytes:
        """The key under the current master key."""
        return _wrapped(self._ciphers[self.current], tenant, key)

    def unwrap(self, tenant: UUID, id: UUID, name: str, wrapped: bytes) -> DataKey:
        """A key that a master key of that name wrapped.

        Raises `Unavailable` when that one is not known here, and `Unsound`.
        """
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise Unavailable(
                f"The vault needs master key {name}, which this process was not given.",
                code="master_key_missing",
                retry_after=60,
            )
        return _unwrapped(cipher, tenant, id, wrapped)


def new_key(id: UUID) -> DataKey:
    return DataKey(id, secrets.token_bytes(32))


def _name(ring: Keyring) -> str:
    return ring.key("master-name").hex()[:16]


def _bound(about: Sequence[str]) -> bytes:
    return msgspec.json.encode(about)  # unlike a mere join, never the same for other parts


def _wrapped(cipher: AESGCM, tenant: UUID, key: DataKey) -> bytes:
    nonce = secrets.token_bytes(NONCE)
    return nonce + cipher.encrypt(nonce, key._secret, _bound((str(tenant), str(key.id))))


def _unwrapped(cipher: AESGCM, tenant: UUID, id: UUID, wrapped: bytes) -> DataKey:
    return DataKey(id, _opened(cipher, wrapped, _bound((str(tenant), str(id)))))


def _opened(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], bound)
    except (InvalidTag, ValueError):
        raise Unsound("This was not sealed here, or not for this.") from None
