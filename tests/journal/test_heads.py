"""Forty ways to tamper with a journal; each is found offline, and where it begins."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest

from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.heads import Growing, Head, Signer, read_heads
from zeroinvoice.journal.mapper import GENESIS, link
from zeroinvoice.journal.proof import Exported, export
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.secrets import Keyring

ONE, OTHER = UUID(int=1), UUID(int=2)
AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
SIGNER = Signer(Keyring(bytes(range(32))))
Lines = list[dict[str, Any]]
Change = Callable[[Lines], Lines]


def chained(facts: list[tuple[int, UUID, UUID, int, str, str]]) -> list[Row]:
    """The facts with the hashes that belong to them, as somebody who knows how would make them."""
    hashes: dict[UUID, bytes] = {}
    rows: list[Row] = []
    for position, tenant, stream, version, topic, state in facts:
        before = hashes.get(tenant, GENESIS)
        hashes[tenant] = link(before, position, tenant, stream, version, topic, state.encode())
        digest = hashes[tenant]
        rows.append((position, tenant, stream, version, topic, state, digest, None, None, None))
    return rows


def written(count: int = 30) -> list[Row]:
    """Two workspaces' facts by turns, on three streams each."""
    versions: dict[UUID, int] = {}
    facts = []
    for position in range(1, count + 1):
        tenant = OTHER if position % 3 == 0 else ONE
        stream = uuid5(tenant, str(position % 2))
        versions[stream] = versions.get(stream, 0) + 1
        state = json.dumps({"amount": f"{position}.00"})
        facts.append((position, tenant, stream, versions[stream], "PaymentRecorded", state))
    return chained(facts)


def heads_of(rows: list[Row], *positions: int) -> list[Head]:
    growing, found = Growing(), []
    for row in rows:
        growing.add(row[0], row[1], row[6])
        if row[0] in positions:
            found += growing.heads(AT)
    return found


def lines_of(rows: list[Row]) -> Lines:
    file = io.BytesIO()
    export(rows, file)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def file_of(lines: Lines) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(it).encode() + b"\n" for it in lines))


def setting(position: int, /, **fields: Any) -> Change:
    return lambda lines: [
        {**it, **fields} if it.get("position") == position else it for it in lines
    ]


def flipped(position: int, field: str, at: int) -> Change:
    """One character of a field is another."""

    def change(lines: Lines) -> Lines:
        text = lines[position][field]
        other = "1" if text[at] != "1" else "2"
        return setting(position, **{field: text[:at] + other + text[at + 1 :]})(lines)

    return change


def without(*positions: int) -> Change:
    return lambda lines: [it for it in lines if it.get("position") not in positions]


def swapped(a: int, b: int) -> Change:
    """Two facts in each other's place, positions and all."""

    def change(lines: Lines) -> Lines:
        lines[a], lines[b] = lines[b], lines[a]
        return lines

    return change


def renumbered(a: int, b: int) -> Change:
    """Two facts have changed places, and each wears the other's position."""

    def change(lines: Lines) -> Lines:
        lines[a], lines[b] = {**lines[b], "position": a}, {**lines[a], "position": b}
        return lines

    return change


def cut(after: int) -> Change:
    return lambda lines: lines[: after + 1]


def made_anew(change: Change) -> Change:
    """After the change all hashes are computed again, by somebody who knows how."""

    def both(lines: Lines) -> Lines:
        facts = [
            (it["position"], UUID(it["tenant"]), UUID(it["stream"]), it["version"], it["topic"],
             it["state"])
            for it in change(lines)[1:]
        ]  # fmt: skip
        return lines_of(chained(facts))

    return both


FORGED = {"state": '{"amount": "0.01"}'}
TAMPERED: list[tuple[str, Change, int]] = [
    *((f"an amount at {at}", setting(at, **FORGED), at) for at in (1, 2, 14, 15, 29, 30)),
    *((f"a character of {at}", flipped(at, "state", 12), at) for at in (3, 10, 25)),
    *((f"the topic of {at}", setting(at, topic="PaymentVoided"), at) for at in (1, 17, 30)),
    *((f"the hash of {at}", flipped(at, "hash", 7), at) for at in (1, 13, 30)),
    *((f"the tenant of {at}", setting(at, tenant=str(OTHER)), at) for at in (2, 16)),
    *((f"the stream of {at}", setting(at, stream=str(ONE)), at) for at in (2, 16)),
    *((f"the version of {at}", setting(at, version=99), at) for at in (4, 28)),
    ("the position of 9", setting(9, position=90), 9),
    *((f"{at} is gone", without(at), at) for at in (1, 2, 15, 29)),
    ("a run is gone", without(11, 12, 13), 11),
    *((f"{a} and {b} are swapped", swapped(a, b), a) for a, b in ((4, 5), (6, 9), (1, 30))),
    *((f"{a} and {b} are renumbered", renumbered(a, b), a) for a, b in ((4, 6), (19, 20))),
    ("7 is there twice", lambda lines: [*lines[:8], lines[7], *lines[8:]], 8),
    ("a line is cut in half", setting(12, state=None), 12),
    *((f"the tail after {at} is cut off", cut(at), at + 1) for at in (29, 22)),
    *(
        (f"an amount at {at}, and the chain made anew", made_anew(setting(at, **FORGED)), first)
        for at, first in ((1, 1), (8, 1), (11, 11), (20, 11))
    ),
]


def test_there_are_forty() -> None:
    assert len(TAMPERED) == 40


@pytest.mark.parametrize(
    ("change", "first"), [it[1:] for it in TAMPERED], ids=[it[0] for it in TAMPERED]
)
def test_whatever_is_tampered_with_is_found_where_it_begins(change: Change, first: int) -> None:
    """A25-9, beyond 3: by the file alone, and by heads that were signed earlier."""
    rows = written()
    heads = heads_of(rows, 10, 20, 30)
    assert Exported(file_of(lines_of(rows))).verify(heads).facts == 30
    with pytest.raises(Broken) as found:
        Exported(file_of(change(lines_of(rows)))).verify(heads)
    assert found.value.position == first


def test_one_workspaces_export_verifies_by_itself() -> None:
    """The positions of others are missing in it, and its own heads hold."""
    rows = written()
    heads = [it for it in heads_of(rows, 10, 20, 30) if it.tenant == OTHER]
    file = io.BytesIO()
    assert export(rows, file, OTHER) == 10
    text = file.getvalue()
    assert Exported(io.BytesIO(text)).verify(heads).facts == 10
    short = b"".join(text.splitlines(keepends=True)[:-1])
    with pytest.raises(Broken, match="10 facts were signed for, and 9 are here"):
        Exported(io.BytesIO(short)).verify(heads)
    foreign = text.replace(str(OTHER).encode(), str(ONE).encode(), 1)
    with pytest.raises(Broken, match="another workspace's"):
        Exported(io.BytesIO(foreign)).verify()


def test_facts_that_came_later_do_not_disturb_an_older_head() -> None:
    rows = written(60)
    heads = heads_of(rows[:30], 10, 30)
    assert Exported(file_of(lines_of(rows))).verify(heads).facts == 60


def test_a_head_is_good_only_as_it_was_signed() -> None:
    """RFC 8032; whoever names our key takes no other's."""
    head = heads_of(written(), 30)[0]
    signed = SIGNER.sign(head)
    assert signed.check() == signed.check([SIGNER.public]) == head
    for field, value in {"size": 7, "position": 28, "root": "00" * 32, "tenant": new_id()}.items():
        with pytest.raises(Broken, match="signature"):
            signed.but(head=head.but(**{field: value})).check()
    other = Signer(Keyring(bytes(32))).sign(head)
    assert other.check() == head
    with pytest.raises(Broken, match="not yours"):
        other.check([SIGNER.public])
    with pytest.raises(Broken, match="signature"):
        signed.but(signature="zz").check()


def test_a_list_of_heads_that_cannot_be_read_says_so() -> None:
    with pytest.raises(Broken, match="no list of signed heads"):
        read_heads([b"{}"])
