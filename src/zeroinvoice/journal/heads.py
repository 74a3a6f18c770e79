"""Signed heads: how far a tenant's journal was at a moment, so that nobody can cut it off later."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.mapper import GENESIS
from zeroinvoice.journal.merkle import Tree
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.kernel.value import Value

FORMAT = "zeroinvoice-head-1"


class Head(Value):
    """Where a tenant's journal was: how many facts, the last of them, and what they hash to."""

    tenant: UUID
    size: int  # facts of this tenant
    position: int  # of the last one
    chain: str  # its hash, in hexadecimal
    root: str  # of the Merkle tree over the hashes of all of them (RFC 9162)
    at: datetime  # when this was signed

    def text(self) -> bytes:
        """The bytes that are signed."""
        parts = (FORMAT, self.tenant, self.size, self.position, self.chain, self.root)
        return "\n".join([*map(str, parts), self.at.isoformat()]).encode()


class SignedHead(Value):
    head: Head
    key: str  # the public key (Ed25519, RFC 8032), in hexadecimal
    signature: str

    def check(self, keys: Sequence[str] = ()) -> Head:
        """The head. Raises `Broken` unless it was signed by its key, and that is one of ours.

        Whoever names no keys learns only that nothing was changed after it was signed.
        """
        if keys and self.key not in keys:
            raise Broken(self.head.position, "this head was signed with a key that is not yours")
        if not is_signed(self.head.text(), self.key, self.signature):
            raise Broken(self.head.position, "the signature of this head is not good")
        return self.head


def is_signed(text: bytes, key: str, signature: str) -> bool:
    """Whether a text was signed with the key that this public one belongs to; both hexadecimal."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), text)
    except (ValueError, InvalidSignature):
        return False
    return True


class Signer:
    """Signs heads with a key that is derived from the installation's, so none is stored."""

    def __init__(self, keyring: Keyring) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(it) for it in keyring.keys("journal-heads")]
        self._key = keys[0]
        self.known = tuple(it.public_key().public_bytes_raw().hex() for it in keys)
        """The public keys by which heads are ours, of former keys of the installation too."""
        self.public = self.known[0]

    def sign(self, head: Head) -> SignedHead:
        return SignedHead(head, self.public, self.signature(head.text()))

    def signature(self, text: bytes) -> str:
        return self._key.sign(text).hex()


class Growing:
    """The trees of all tenants, grown fact by fact."""

    def __init__(self) -> None:
        self._trees: dict[UUID, Tree] = {}
        self._last: dict[UUID, tuple[int, bytes]] = {}  # position and hash
        self.position = 0

    def add(self, position: int, tenant: UUID, kept: bytes) -> None:
        self._trees.setdefault(tenant, Tree()).add(kept)
        self._last[tenant] = (position, kept)
        self.position = position

    def head(self, tenant: UUID, at: datetime) -> Head:
        tree = self._trees.get(tenant) or Tree()
        position, chain = self._last.get(tenant, (0, GENESIS))
        return Head(tenant, tree.size, position, chain.hex(), tree.root().hex(), at)

    def heads(self, at: datetime, since: int = 0) -> list[Head]:
        """Of every tenant that has facts after a position."""
        changed = (it for it, (position, _) in self._last.items() if position > since)
        return [self.head(tenant, at) for tenant in sorted(changed)]


def against(rows: Iterable[Row], heads: Sequence[Head]) -> Iterator[Row]:
    """The rows as they pass by, held against heads that were signed earlier.

    Raises `Broken` where they are not the facts that a head was signed over: at the first
    position after the last head that holds, or where the tail was cut off.
    """
    growing = Growing()
    good: dict[UUID, int] = {}  # the position of each tenant's last head that holds
    waiting = sorted(heads, key=lambda it: (it.position, it.size))

    def hold(head: Head) -> None:
        first = good.get(head.tenant, 0) + 1
        if growing.head(head.tenant, head.at) != head:
            raise Broken(first, f"from here to {head.position} this is not what was signed for")
        good[head.tenant] = head.position

    for row in rows:
        while waiting and row[0] > waiting[0].position:
            hold(waiting.pop(0))
        growing.add(row[0], row[1], bytes(row[6]))
        yield row
    for head in waiting:
        size = growing.head(head.tenant, head.at).size
        if size < head.size:
            why = f"{head.size} facts were signed for, and {size} are here"
            raise Broken(growing.position + 1, why)
        hold(head)


def heads_in(folder: Path, tenant: UUID) -> list[SignedHead]:
    """A tenant's heads among the files that the witness leaves. Raises `Broken` as `read_heads`."""
    mark, found = str(tenant).encode(), list[SignedHead]()
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            found += read_heads(line for line in file if mark in line)
    return [it for it in found if it.head.tenant == tenant]


def read_heads(lines: Iterable[bytes]) -> list[SignedHead]:
    """Signed heads, a JSON line each. Raises `Broken` for a line that is none."""
    decode = msgspec.json.Decoder(SignedHead).decode
    try:
        return [decode(line) for line in lines if line.strip()]
    except msgspec.DecodeError as wrong:
        raise Broken(0, f"this is no list of signed heads: {wrong}") from None
