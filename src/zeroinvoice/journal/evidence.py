"""Evidence: that a fact is in a journal, or that a journal only grew, without showing the rest."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.heads import Head, SignedHead, Signer
from zeroinvoice.journal.mapper import GENESIS
from zeroinvoice.journal.merkle import (
    Tree,
    consistency,
    grew,
    includes,
    inclusion,
    leaf_hash,
    root_of,
)
from zeroinvoice.kernel.refusals import Invalid, Missing
from zeroinvoice.kernel.value import Value

Links = Sequence[tuple[int, bytes]]
"""A tenant's facts from the first on: the position and the chain's hash of each."""


class Inclusion(Value, tag_field="proof", tag="inclusion"):
    """A fact's hash, and the hashes that lead from it to a signed root (RFC 9162, 2.1.3)."""

    seq: int  # the fact's position
    index: int  # among the workspace's facts; the first has 0
    hash: str  # of the fact and all before it, in hexadecimal
    path: list[str]
    signed: SignedHead

    def check(self, keys: Sequence[str] = ()) -> None:
        """Raises `Broken` unless the fact is one of those the head was signed over."""
        head = self.signed.check(keys)
        leaf, path = leaf_hash(_bytes(self.hash)), [_bytes(it) for it in self.path]
        if not includes(_bytes(head.root), head.size, leaf, self.index, path):
            raise Broken(self.seq, "the path does not lead from this fact to what was signed")


class Growth(Value, tag_field="proof", tag="growth"):
    """What leads from an earlier root to a signed one that holds all it held (RFC 9162, 2.1.4)."""

    size: int  # of the earlier tree, in facts
    root: str  # of the earlier tree, in hexadecimal
    path: list[str]
    signed: SignedHead

    def check(self, keys: Sequence[str] = (), earlier: Head | None = None) -> None:
        """Raises `Broken` unless the head holds what the tree before held, that of `earlier`."""
        head = self.signed.check(keys)
        if earlier is not None and (earlier.tenant, earlier.size, earlier.root) != (
            head.tenant, self.size, self.root
        ):  # fmt: skip
            raise Broken(earlier.position, "this speaks of another head than the earlier one")
        path = [_bytes(it) for it in self.path]
        if not grew(self.size, _bytes(self.root), head.size, _bytes(head.root), path):
            raise Broken(head.position, "what was signed did not grow from what was there before")


def head_of(tenant: UUID, links: Links, at: datetime) -> Head:
    """Where a tenant's journal is after these facts."""
    position, chain = links[-1] if links else (0, GENESIS)
    leaves = [leaf_hash(hash) for _, hash in links]
    root = root_of(leaves) if leaves else Tree().root()
    return Head(tenant, len(links), position, chain.hex(), root.hex(), at)


def inclusion_of(seq: int, tenant: UUID, links: Links, signer: Signer, at: datetime) -> Inclusion:
    """Raises `Missing` when there is no such fact among these."""
    index = next((n for n, (position, _) in enumerate(links) if position == seq), None)
    if index is None:
        raise Missing("There is no such fact.")
    path = inclusion([leaf_hash(hash) for _, hash in links], index)
    signed = signer.sign(head_of(tenant, links, at))
    return Inclusion(seq, index, links[index][1].hex(), [it.hex() for it in path], signed)


def growth_of(size: int, tenant: UUID, links: Links, signer: Signer, at: datetime) -> Growth:
    """Raises `Invalid` for a size that the journal never had."""
    if not 0 < size <= len(links):
        raise Invalid(f"The journal has 1 to {len(links)} facts.", code="unknown_size")
    leaves = [leaf_hash(hash) for _, hash in links]
    path, root = consistency(leaves, size), root_of(leaves[:size])
    signed = signer.sign(head_of(tenant, links, at))
    return Growth(size, root.hex(), [it.hex() for it in path], signed)


def check_all(lines: Iterable[bytes], keys: Sequence[str], earlier: Sequence[Head]) -> int:
    """Check proofs, a JSON line each; answers how many. Raises `Broken` at the first that fails.

    Growth is held against the `earlier` head of its size, if there is one.
    """
    heads = {(it.tenant, it.size): it for it in earlier}
    count = 0
    for line in filter(None, map(bytes.strip, lines)):
        try:
            proof = msgspec.json.decode(line, type=Inclusion | Growth)
        except msgspec.DecodeError as wrong:
            raise Broken(0, f"this is no proof: {wrong}") from None
        if isinstance(proof, Growth):
            proof.check(keys, heads.get((proof.signed.head.tenant, proof.size)))
        else:
            proof.check(keys)
        count += 1
    return count


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Broken(0, f"{text[:20]!r} is no hash in hexadecimal") from None
