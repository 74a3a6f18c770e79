"""An office: a workspace to act in over HTTP, and a clerk who brings about what an act needs."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import httpx
import psycopg
from client_journal import ClientJournal, State, known
from installation import Installation

from zeroinvoice.domain import access
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.lines import Tax
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.two_factor import FactorKeys
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import Vault
from zeroinvoice.http.auth import Tokens
from zeroinvoice.http.passwords import Passwords
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.fence import READ_ROLE, within
from zeroinvoice.journal.schema import API_ROLE, conninfo
from zeroinvoice.journal.store import PostgresStore
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.secrets import Keyring

T = TypeVar("T")

PASSWORD = "correct horse battery"
TAX = "FAULTS"  # a tax code that is defined anew again and again
CLIENTS = 5
AT_ONCE = 50  # commands that the clerk hands to a committer together
PATIENCE = 8.0  # seconds a caller waits for an answer


class Office:
    """A workspace with clients to bill; its owner is logged in, somebody else can log in."""

    def __init__(self, installation: Installation, name: str = "Faults", **settings: Any) -> None:
        self.installation = installation
        self.journal = ClientJournal(installation.data / f"client.journal.{new_id().hex}")
        self.tenant, self.user, self.session = new_id(), new_id(), new_id()
        self.email = f"{self.user.hex}@example.com"  # of the one who can log in
        self.hashed = asyncio.run(Passwords().hash(PASSWORD))
        self.keyring = Keyring(*installation.settings.secret_keys)
        self.tokens = Tokens(self.keyring, system_clock)
        self._vault = Vault(MasterKeys(installation.settings.master_keys), self._connected)
        self._keys: dict[UUID, FactorKeys] = {}
        self._headers: tuple[float, dict[str, str]] = (0.0, {})
        self._turn = 0
        self._clerk: Clerk | None = None

        def opened(desk: Desk) -> list[UUID]:
            workspace = desk.new(Workspace, self.tenant)
            workspace = desk.record(
                workspace, workspace.open(self.user, Settings(name, **settings))
            )
            desk.record(workspace, workspace.add_tax(Tax(TAX, "Tax", Decimal(20))))
            begun = desk.new(Session, self.session)
            desk.record(begun, begun.start(self.user))
            access.register(desk, self.visitor(self.email), access.Caller("faults", "faults"))
            clients = [desk.new(Client) for _ in range(CLIENTS)]
            for number, client in enumerate(clients):
                desk.record(client, client.add(Profile(f"Client {number}", "USD")))
            return [it.id for it in clients]

        (self.clients,) = self.decide([opened])

    def visitor(self, email: str) -> access.Registration:
        """Somebody with our password and a workspace of their own."""
        own = Settings("Visitor")
        return access.Registration(email, "Visitor", self.hashed, "en", own, log_in=False)

    @property
    def headers(self) -> dict[str, str]:
        """A token of the owner's, fresh enough; theirs are good for a quarter of an hour."""
        made_at, headers = self._headers
        if time.monotonic() - made_at > 300:
            token = self.tokens.access(self.user, self.tenant, self.session, 1, system_clock())
            headers = {"Authorization": f"Bearer {token}"}
            self._headers = (time.monotonic(), headers)
        return headers

    def http(self, **options: Any) -> httpx.Client:
        """The owner, who speaks HTTP."""
        return httpx.Client(
            base_url=self.installation.url,
            headers=self.headers,
            **{"timeout": PATIENCE, **options},
        )

    def a_client(self) -> UUID:
        """One client after the other."""
        self._turn += 1
        return self.clients[self._turn % CLIENTS]

    def limit(self, client: UUID, credit_limit: Decimal) -> None:
        """Set how much a client may owe."""

        def limited(desk: Desk) -> None:
            it = desk.open(Client, client)
            desk.record(it, it.set_payment(PaymentSettings(credit_limit=credit_limit)))

        self.decide([limited])

    def factor_keys(self, tenant: UUID, user: UUID) -> FactorKeys:
        """What a user's second factor is made from; asked for once, since a decision runs again."""
        if user not in self._keys:
            own = self._vault.key(tenant, user)
            self._keys[user] = FactorKeys(user, own.fingerprint, self.keyring)
        return self._keys[user]

    @contextlib.contextmanager
    def _connected(self, tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
        url = conninfo(self.installation.database(), READ_ROLE, application="faults clerk")
        with psycopg.connect(url, autocommit=True) as connection, within(connection, tenant):
            yield connection

    def decide(self, decisions: Sequence[Callable[[Desk], T]]) -> list[T]:
        """Record something without HTTP, all at once: what an act needs to be there."""
        url = conninfo(self.installation.database(), API_ROLE, application="faults clerk")
        if self._clerk is None or self._clerk.url != url:
            self._clerk = Clerk(url, self.installation.masters)
        parts = [decisions[at : at + AT_ONCE] for at in range(0, len(decisions), AT_ONCE)]
        return [answer for part in parts for answer in self._clerk.decide(self.tenant, part)]


class Clerk:
    """Records without HTTP, by a committer that lives as long as that of an API process.

    So what it knows of long streams stays known. Nobody stops it; it ends with the tests.
    """

    def __init__(self, url: str, masters: MasterKeys) -> None:
        self.url = url
        mapper = Journal(masters=masters).facts_mapper
        self._committer = Committer(PostgresStore(url), mapper, system_clock)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="clerk", daemon=True).start()
        self._loop.call_soon_threadsafe(self._committer.start)

    def decide(self, tenant: UUID, decisions: Sequence[Callable[[Desk], T]]) -> list[T]:
        return asyncio.run_coroutine_threadsafe(
            self._decided(tenant, decisions), self._loop
        ).result()

    async def _decided(self, tenant: UUID, decisions: Sequence[Callable[[Desk], T]]) -> list[T]:
        origin = Origin(Actor("system"), new_id())
        commands = [Command(tenant, origin, decision) for decision in decisions]
        done = await asyncio.gather(*(self._committer.submit(it) for it in commands))
        return [it.answer for it in done]


class Request:
    """One request under its key, sent as often as it takes to know what became of it."""

    def __init__(self, mark: str, method: str, path: str, *, json: Any = None, data: Any = None):
        self.mark = mark  # its Idempotency-Key, and its X-Reason, by which its facts are found
        self.method, self.path, self.json, self.data = method, path, json, data
        self.outcome: State = "sent"
        self.answer: httpx.Response | None = None

    def carry_out(self, http: httpx.Client, journal: ClientJournal) -> None:
        journal.note(self.mark, "sent")
        own = {"Idempotency-Key": self.mark, "X-Reason": self.mark}
        self.answer = None
        with contextlib.suppress(httpx.HTTPError):
            self.answer = http.request(
                self.method, self.path, json=self.json, data=self.data, headers=own
            )
        self.outcome = known(self.answer)
        journal.note(self.mark, self.outcome)


def at_once(acts: Iterable[Callable[[httpx.Client], None]], office: Office, threads: int) -> None:
    """All acts, from several threads with a connection each; raises what one of them raised."""
    waiting, lock, faults = iter(acts), threading.Lock(), list[BaseException]()

    def work() -> None:
        with office.http() as http:
            while not faults:
                with lock:
                    act = next(waiting, None)
                if act is None:
                    return
                try:
                    act(http)
                except BaseException as fault:
                    faults.append(fault)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if faults:
        raise faults[0]


@contextlib.contextmanager
def meanwhile(act: Callable[[], None]) -> Any:
    """Something that happens while the block is at work; what it raises is raised here."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if faults:
        raise faults[0]
