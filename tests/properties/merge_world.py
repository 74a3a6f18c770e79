"""A world for properties: the real committer on a journal in memory, every read model beside it."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import projections
from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit_ledger import CreditLedger, ledger_of
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.memory import MemoryStore
from zeroinvoice.journal.recorder import MemoryFactRecorder
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Fact, Origin, State
from zeroinvoice.readside.rows import Row
from zeroinvoice.readside.shelf import Shelf

TENANT = UUID(int=7)
ASIDE = {  # they tell of the merges themselves, or by the positions of what happened
    "audit.audit",
    "merges.merges",
    "merges.entries",
    *(f"activity.{it}" for it in ("activity", "mentions", "things", "latest")),
}
COUNTED = {"version", "updated_at"}  # how often and when something was changed
OF_RECEIPT = ("kind", "client_id", "currency", "amount", "fee_amount", "method", "day", "days",
              "invoices")  # fmt: skip
OF_ENTRY = ("client_id", "kind", "document", "part", "currency", "amount", "day", "in_money")
Decision = Callable[[Desk], Any]


class World:
    """The real committer on a journal in memory, and every read model beside it."""

    def __init__(self) -> None:
        self.now, self._step, self._drawn = datetime(2026, 3, 1, tzinfo=UTC), 0, 0
        self._recorder = MemoryFactRecorder()
        self._mapper = Journal(self._recorder).facts_mapper
        self._committer = Committer(
            MemoryStore(self._recorder), self._mapper, lambda: self.now, ids=self._id
        )
        self.states: dict[UUID, State[Any]] = {}
        self.tables = {
            it.name: [Shelf(table) for table in it.tables] for it in projections.projectors
        }
        self._read = 0
        self._loop = asyncio.new_event_loop()
        self.decide(0, self._opened)

    def _id(self) -> UUID:
        self._drawn += 1
        return UUID(int=self._step * 1000 + self._drawn)

    @staticmethod
    def _opened(desk: Desk) -> None:
        workspace = desk.new(Workspace, TENANT)
        desk.record(workspace, workspace.open(TENANT, Settings(name="Test")))

    def close(self) -> None:
        self._loop.close()

    def decide(self, step: int, decision: Decision) -> Any:
        """Decide something as the nth step: at its hour, with its ids, in every world."""
        self._step, self._drawn = step, 0
        self.now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=step)

        async def carried_out() -> Any:
            command = Command(TENANT, Origin(Actor("system"), UUID(int=step)), decision)
            self._committer.carry_out([command])  # here, for a busy machine must not end a wait
            return (await command.future).answer

        answer = self._loop.run_until_complete(carried_out())
        for row in self._recorder.rows[self._read :]:
            fact = self._mapper.fact(*row[:6])
            before = self.states.get(fact.stream) or Client(id=fact.stream)
            self.states[fact.stream] = before.told(fact.event, fact.at)
            for it in projections.projectors:
                for shelf in self.tables[it.name]:
                    shelf.tenant = fact.tenant
                it.project(*self.tables[it.name], fact)
        self._read = len(self._recorder.rows)
        return answer

    @property
    def facts(self) -> list[Fact]:
        return [self._mapper.fact(*row[:6]) for row in self._recorder.rows]

    def state(self, kind: type[Any], id: UUID) -> Any:
        return self.states.get(id) or kind(id=id)

    def dump(self, *, exactly: bool) -> dict[str, Any]:
        """Every row of every read model; `exactly` with all that an undone merge leaves alone.

        Otherwise without voided payments and what else was taken back: in the other world they
        never were.
        """
        dumped: dict[str, Any] = {}
        for it in projections.projectors:
            for table, shelf in zip(it.tables, self.tables[it.name], strict=True):
                name = f"{it.name}.{table.name}"
                if name in ASIDE or table.name == "moved":
                    continue
                hidden: set[str] = set()
                if not exactly or name in (
                    "clients.clients",
                    "contacts.books",
                    "bank_accounts.lists",
                ):
                    hidden = COUNTED
                dumped[name] = {
                    id: {k: v for k, v in row.items() if k not in hidden}
                    for id, row in shelf.rows.items()
                    if exactly or row.get("status") != "voided"
                }
        if not exactly:
            del dumped["credits.applications"]
            del dumped["client_figures.current"]
            del dumped["payment_ledger.standing"]
            for name, told in (
                ("client_figures.entries", OF_ENTRY),
                ("payment_ledger.entries", OF_RECEIPT),
            ):
                standing = [it for it in dumped.pop(name).values() if it["gone_at"] is None]
                dumped[name] = sorted(str([it[column] for column in told]) for it in standing)
            for shelf in (dumped["contacts.books"], dumped["bank_accounts.lists"]):
                for id in [id for id, row in shelf.items() if is_empty(row)]:
                    del shelf[id]  # nobody is in it, or was only while a merge stood
        return dumped

    def owed(self, clients: Iterable[UUID]) -> Any:
        """What the accounts and the ledgers say, client by client."""
        told = []
        for id in clients:
            sums = self.state(Account, account_of(TENANT, id)).balances.by_currency
            held = self.state(CreditLedger, ledger_of(TENANT, id)).held
            told.append(({k: v for k, v in sums.items() if v}, held))
        return told


def is_empty(row: Row) -> bool:
    return all(row.get(name) is None for name in ("primary_id", "refunds", "direct_debit", "info"))
