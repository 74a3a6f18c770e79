"""A model for properties: who is one with whom by merges, and so whose each record is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID


@dataclass
class Record:
    """A payment or a credit: for whom it was entered, and what it settles."""

    id: UUID
    step: int
    named: int
    invoices: dict[UUID, UUID] = field(default_factory=dict)  # by allocation or application
    gone: bool = False
    ahead: bool = False  # a payment that was entered before it settled anything


@dataclass
class Merged:
    id: UUID
    step: int
    primary: int
    groups: dict[int, set[int]]  # by who was merged
    own: set[int]
    roots: dict[UUID, int] = field(default_factory=dict)  # whose an older record was

    def side(self, client: int) -> int | None:
        if client in self.own:
            return self.primary
        return next((it for it, group in self.groups.items() if client in group), None)


class Clientele:
    """Rules 13 and 14 of merges as they are written; clients are numbers from 0."""

    def __init__(self, clients: int) -> None:
        self.clients = range(clients)
        self.into: dict[int, int] = {}
        self.merges: list[Merged] = []  # that stand
        self.billed: dict[UUID, int] = {}  # whose each invoice is

    def way(self, n: int) -> list[int]:
        way = [n]
        while way[-1] in self.into:
            way.append(self.into[way[-1]])
        return way

    def top(self, n: int) -> int:
        return self.way(n)[-1]

    def group(self, n: int) -> set[int]:
        return {it for it in self.clients if n in self.way(it)}

    def one(self, which: int) -> int:
        """A client that stands for itself."""
        standing = [it for it in self.clients if it not in self.into]
        return standing[which % len(standing)]

    def merge(self, merged: Merged, records: Iterable[Record]) -> None:
        for record in records:
            root = merged.side(self.home(record))
            if root is not None:
                merged.roots[record.id] = root
        self.merges.append(merged)
        self.into.update(dict.fromkeys(merged.groups, merged.primary))

    def part(self, merged: Merged, records: Iterable[Record]) -> None:
        """Undo a merge: what was entered since and concerns one that returns follows it."""
        for record in records:
            if not record.gone and record.step > merged.step and record.invoices:
                side = merged.side(self.home(record))
                if side not in (None, merged.primary) and merged.side(record.named) != side:
                    record.named = side  # as if it had been entered for that one
        self.merges.remove(merged)
        for duplicate in merged.groups:
            del self.into[duplicate]

    def is_latest(self, merged: Merged) -> bool:
        latest = [it for it in self.merges if it.primary == merged.primary][-1]
        return latest is merged and merged.primary not in self.into

    def tears(self, merged: Merged, record: Record) -> bool:
        """Rule 14: whether it settles invoices of both, or is of one and settles the other's."""
        if record.gone or not record.invoices:
            return False
        sides = {merged.side(self.billed[it]) for it in record.invoices.values()}
        if record.id in merged.roots:
            sides.add(merged.roots[record.id])
        return len(sides - {None}) > 1

    def home(self, record: Record) -> int:
        """Whose a record is when every merge has been undone."""
        owners = {self.billed[it] for it in record.invoices.values()}
        ways = [self.way(it) for it in owners]
        nearest = [it for it in ways[0] if all(it in way for way in ways)] if ways else []
        if nearest and self._may_follow(record, nearest[0]):
            return nearest[0]
        return record.named

    def _may_follow(self, record: Record, owner: int) -> bool:
        """Whether all merges between them were made before the record was."""
        way = self.way(owner)
        if record.named not in way:
            return False
        between = way[: way.index(record.named)]
        return all(it.step < record.step for it in self.merges if it.groups.keys() & set(between))
