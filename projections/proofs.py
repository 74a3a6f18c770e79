"""Proofs: signed heads of a workspace's journal, and what leads to them, checked without us."""

from typing import Annotated

from litestar.params import FromQuery, QueryParameter

from zeroinvoice.http.parts import Sharing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.journal.evidence import Growth, Inclusion, Links, growth_of, head_of, inclusion_of
from zeroinvoice.journal.heads import SignedHead, Signer
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.readside.reader import Reader

MOST = 500_000  # facts that one request reads; of longer journals the command line makes proofs

Size = Annotated[
    int | None, QueryParameter(ge=1, lt=1 << 62, description="facts of the tree; by default all")
]


def _links(reader: Reader, size: int | None) -> Links:
    """The workspace's chain up to so many facts. Raises `Invalid` when there are fewer, or more."""
    links = reader.hashes(MOST + 1 if size is None else min(size, MOST + 1))
    if len(links) > MOST:
        raise Invalid(f"Ask for at most {MOST} facts of the journal.", code="journal_too_long")
    if size is not None and len(links) < size:
        raise Invalid(f"The journal has only {len(links)} facts.", code="unknown_size")
    return links


# Routes


@get("/audit/proofs/head", may="audit:read", as_of="never")
def head(reader: Reading, parts: Sharing, size: Size = None) -> SignedHead:
    """Sign how far the workspace's journal is: keep it where nobody else writes.

    The signature is Ed25519 (RFC 8032) over the lines of the head, the root a Merkle tree's over
    the hashes of all facts (RFC 9162).
    """
    signed = head_of(reader.tenant, _links(reader, size), reader.now)
    reader.follows_more()
    return Signer(parts.keyring).sign(signed)


@get("/audit/proofs/inclusion", may="audit:read", as_of="never")
def inclusion(reader: Reading, parts: Sharing, seq: FromQuery[int], size: Size = None) -> Inclusion:
    """Prove that a fact, named by its `seq`, is in the journal; the rest need not be shown."""
    links = _links(reader, size)
    reader.follows_more()
    return inclusion_of(seq, reader.tenant, links, Signer(parts.keyring), reader.now)


@get("/audit/proofs/growth", may="audit:read", as_of="never")
def growth(
    reader: Reading,
    parts: Sharing,
    since: Annotated[
        int, QueryParameter(ge=1, lt=1 << 62, description="facts of the earlier head")
    ],
    size: Size = None,
) -> Growth:
    """Prove that the journal holds, unchanged, what it held when it had so many facts."""
    links = _links(reader, size)
    reader.follows_more()
    return growth_of(since, reader.tenant, links, Signer(parts.keyring), reader.now)


routes = [head, inclusion, growth]
