"""Merkle trees over a tenant's facts, and the proofs that need but a few hashes (RFC 9162)."""

import hashlib
from collections.abc import Sequence


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that only grows: the roots of its whole subtrees are enough to go on (2.1.1)."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: list[bytes] = []  # the largest subtree first

    def add(self, entry: bytes) -> None:
        root, size = leaf_hash(entry), self.size
        while size & 1:  # as many subtrees of equal size are joined as the carry goes
            root = node_hash(self._whole.pop(), root)
            size >>= 1
        self._whole.append(root)
        self.size += 1

    def root(self) -> bytes:
        """The Merkle tree hash of all entries so far."""
        if not self._whole:
            return hashlib.sha256(b"").digest()
        root = self._whole[-1]
        for left in reversed(self._whole[:-1]):
            root = node_hash(left, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over some leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return node_hash(root_of(leaves[:half]), root_of(leaves[half:]))


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """What it takes to show that a leaf is one of these (2.1.3.1)."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*inclusion(leaves[:half], index), root_of(leaves[half:])]
    return [*inclusion(leaves[half:], index - half), root_of(leaves[:half])]


def includes(root: bytes, size: int, leaf: bytes, index: int, path: Sequence[bytes]) -> bool:
    """Whether a path shows the leaf at that index of the tree with this root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """What it takes to show that a tree of the first leaves has grown into this one (2.1.4.1)."""
    assert 0 < first <= len(leaves), "a tree of none, or of what is not there"
    return _grown(leaves, first, True)


def _grown(leaves: Sequence[bytes], first: int, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root_of(leaves)]
    half = _half(len(leaves))
    if first <= half:
        return [*_grown(leaves[:half], first, whole), root_of(leaves[half:])]
    return [*_grown(leaves[half:], first - half, False), root_of(leaves[:half])]


def grew(first: int, old: bytes, second: int, new: bytes, path: Sequence[bytes]) -> bool:
    """Whether a path shows that the tree of the old root began the one of the new (2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return old == new and not path
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, old)
    if not hashes:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old and after == new


def _half(size: int) -> int:
    """The largest power of two below the size: where a tree is split."""
    return 1 << ((size - 1).bit_length() - 1)
