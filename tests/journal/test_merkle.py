"""Merkle trees by RFC 9162: known roots, and proofs that show what is so and nothing else."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.journal.merkle import (
    Tree,
    consistency,
    grew,
    includes,
    inclusion,
    leaf_hash,
    root_of,
)

# The inputs and roots that implementations of Certificate Transparency test each other with.
ENTRIES = [
    bytes.fromhex(it)
    for it in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
entries = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def test_known_trees_have_their_known_roots() -> None:
    for size, root in ROOTS.items():
        tree = Tree()
        for entry in ENTRIES[:size]:
            tree.add(entry)
        assert tree.root().hex() == root


@given(entries)
def test_a_tree_that_grows_is_the_tree_of_all(found: list[bytes]) -> None:
    tree = Tree()
    for count, entry in enumerate(found, start=1):
        tree.add(entry)
        assert tree.root() == root_of([leaf_hash(it) for it in found[:count]])


@given(entries, st.data())
def test_a_leaf_is_shown_to_be_in_the_tree_and_no_other_is(
    found: list[bytes], data: st.DataObject
) -> None:
    leaves = [leaf_hash(it) for it in found]
    index = data.draw(st.integers(0, len(found) - 1))
    root, path = root_of(leaves), inclusion(leaves, index)
    assert includes(root, len(leaves), leaves[index], index, path)
    other = hashlib.sha256(b"another").digest()
    assert not includes(root, len(leaves), other, index, path)
    assert not includes(other, len(leaves), leaves[index], index, path)
    assert not includes(root, len(leaves), leaves[index], index + len(leaves), path)
    assert not includes(root, len(leaves), leaves[index], index, [*path, other])
    for at in range(len(path)):
        changed = [*path[:at], other, *path[at + 1 :]]
        assert not includes(root, len(leaves), leaves[index], index, changed)


@given(entries, st.data())
def test_a_tree_is_shown_to_have_grown_from_an_older_one(
    found: list[bytes], data: st.DataObject
) -> None:
    leaves = [leaf_hash(it) for it in found]
    first = data.draw(st.integers(1, len(found)))
    old, new = root_of(leaves[:first]), root_of(leaves)
    path = consistency(leaves, first)
    assert grew(first, old, len(leaves), new, path)
    other = hashlib.sha256(b"another").digest()
    assert not grew(first, other, len(leaves), new, path)
    assert not grew(first, old, len(leaves), other, path)
    for at in range(len(path)):
        assert not grew(first, old, len(leaves), new, [*path[:at], other, *path[at + 1 :]])


def test_a_history_that_was_rewritten_has_not_grown_from_the_old_one() -> None:
    leaves = [leaf_hash(bytes([it])) for it in range(23)]
    rewritten = [*leaves[:4], leaf_hash(b"x"), *leaves[5:]]
    for first in range(5, 23):
        path = consistency(rewritten, first)
        assert not grew(first, root_of(leaves[:first]), 23, root_of(rewritten), path)
