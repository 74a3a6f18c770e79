"""What tests of commands share: visitors from networks of their own, and a shop that is owed."""

import email
import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.two_factor import code_of, step_of, two_factor_of

PASSWORD = "correct horse battery"
_networks = itertools.count(1)


class Visitor:
    """Somebody with an address of their own, so that no test is throttled for another."""

    def __init__(self, house: Any) -> None:
        n = next(_networks)
        self.house = house
        self.ip = f"127.77.{n // 250}.{n % 250 + 1}"
        self.http = httpx.Client(
            base_url=house.url,
            timeout=20,
            transport=httpx.HTTPTransport(local_address=self.ip),
            headers={"User-Agent": "visitor/1"},
        )
        self.email = f"Someone.{uuid4().hex[:12]}@Example.com"
        self.profile: dict[str, Any] = {}

    @property
    def tenant(self) -> UUID:
        return UUID(self.profile["workspace"]["id"])

    @property
    def user(self) -> UUID:
        return UUID(self.profile["id"])

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.post(path, json=body, headers=headers)

    def register(self, **more: Any) -> httpx.Response:
        body = {"email": self.email, "password": PASSWORD, "full_name": "Jane Dev", **more}
        answer = self.post("/api/auth/register", body)
        if answer.status_code == 201:
            self.profile = answer.json()
        return answer

    def login(self, password: str = PASSWORD, **more: Any) -> httpx.Response:
        fields = {"username": self.email, "password": password}
        return self.http.post("/api/auth/login", data=fields, **more)

    def entered(self) -> dict[str, Any]:
        """The tokens of a new login."""
        answer = self.login()
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def me(self, tokens: dict[str, Any]) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self.http.get("/api/auth/me", headers=bearer)

    def facts(self, stream: UUID | None = None) -> list[str]:
        """The names of what is on record of the user, or of another stream of theirs."""
        journal = self.house.parts.journal
        return [type(it.event).__name__ for it in journal.history(self.tenant, stream or self.user)]

    def head(self) -> int:
        """The journal's last position."""
        with psycopg.connect(self.house.database_url, autocommit=True) as connection:
            row = connection.execute("SELECT coalesce(max(position), 0) FROM facts").fetchone()
        assert row is not None
        position: int = row[0]
        return position

    def mailed(self, many: int) -> list[EmailMessage]:
        """The letters to this visitor, once there are so many."""
        until = time.monotonic() + 15
        while len(letters := self.letters()) < many:
            assert time.monotonic() < until, f"waited for {many} letters, got {len(letters)}"
            time.sleep(0.02)
        return letters

    def letters(self) -> list[EmailMessage]:
        """The letters to this visitor so far, the oldest first."""
        folder = self.house.settings.mail_dir
        found = [
            email.message_from_bytes(path.read_bytes(), policy=default)
            for path in sorted(folder.glob("*.eml"))
        ]
        return [it for it in found if it["To"] == self.email]


@pytest.fixture
def visitors(house: Any) -> Iterator[Callable[[], Visitor]]:
    """Makes visitors who have not registered yet."""
    made: list[Visitor] = []

    def one() -> Visitor:
        made.append(Visitor(house))
        return made[-1]

    house.clock.moved *= 0
    yield one
    house.clock.moved *= 0
    for visitor in made:
        visitor.http.close()


@pytest.fixture
def visitor(visitors: Callable[[], Visitor]) -> Visitor:
    return visitors()


@pytest.fixture
def jane(visitor: Visitor) -> Visitor:
    """A visitor who has registered."""
    assert visitor.register().status_code == 201
    return visitor


class Holder:
    """A visitor with an authenticator: logged in, and by and by with a second factor on."""

    def __init__(self, visitor: Any) -> None:
        self.it = visitor
        self.tokens = visitor.entered()
        self.secret = ""
        self.backup: list[str] = []

    def code(self, beside: int = 0) -> str:
        """What the authenticator shows now, or so many steps from now."""
        return code_of(self.secret, step_of(self.it.house.clock()) + beside)

    def wait(self, steps: int = 1) -> None:
        """Let so much time pass that the next code is another."""
        self.it.house.clock.moved += timedelta(seconds=30 * steps)

    def post(self, path: str, body: Any, token: str | None = None, **more: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {token or self.tokens['access_token']}"}
        answer: httpx.Response = self.it.post(f"/api/auth/{path}", body, **bearer, **more)
        return answer

    def set_up(self, **more: str) -> httpx.Response:
        answer = self.post("2fa/setup", {"password": PASSWORD}, **more)
        if answer.status_code == 200:
            self.secret = answer.json()["secret_base32"]
        return answer

    def on(self) -> "Holder":
        """Switch it on, then wait for another code."""
        assert self.set_up().status_code == 200
        answer = self.post("2fa/verify", {"code": self.code()})
        assert answer.status_code == 200, answer.text
        self.backup = answer.json()["backup_codes"]
        self.wait()
        return self

    def half(self) -> str:
        """The `mfa_token` of a login."""
        answer = self.it.login()
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["mfa_token"]
        return token

    def finish(self, code: str, token: str | None = None, **more: str) -> httpx.Response:
        body = {"code": code, "mfa_token": token or self.half()}
        answer: httpx.Response = self.it.post("/api/auth/2fa/verify", body, **more)
        return answer

    def by_backup(self, code: str, token: str | None = None) -> httpx.Response:
        body = {"code": code, "mfa_token": token or self.half()}
        answer: httpx.Response = self.it.post("/api/auth/2fa/verify-backup", body)
        return answer

    def disable(self, password: str = PASSWORD, **code: str) -> httpx.Response:
        return self.post("2fa/disable", {"password": password, **code})

    def wrong(self) -> str:
        """Six digits that are no code near now."""
        near = {self.code(n) for n in range(-3, 4)}
        return next(it for it in (f"{n:06}" for n in range(100)) if it not in near)

    def facts(self) -> list[str]:
        """What is on record of the second factor."""
        it: list[str] = self.it.facts(two_factor_of(self.it.tenant, self.it.user))
        return it


@pytest.fixture
def holder(jane: Any) -> Holder:
    return Holder(jane)


@pytest.fixture
def secured(holder: Holder) -> Holder:
    return holder.on()


class Shop:
    """An office with clients who owe it money."""

    def __init__(self, office: Any) -> None:
        self.office = office

    def client(self, currency: str = "USD", **settings: Any) -> str:
        def added(desk: Any) -> UUID:
            client = desk.new(Client)
            client = desk.record(client, client.add(Profile("Acme Corp", currency)))
            if settings:
                client = desk.record(client, client.set_payment(PaymentSettings(**settings)))
            return client.id

        return str(self.office.house.commit(self.office.tenant, added))

    def draft(self, client_id: str, total: str = "100.00", currency: str = "USD") -> str:
        line = {"description": "Work", "unit_price": total}
        body = {"client_id": client_id, "line_items": [line], "currency": currency}
        return str(self.office.made("/api/invoices", body)["id"])

    def invoice(self, client_id: str, total: str = "100.00", currency: str = "USD") -> str:
        invoice_id = self.draft(client_id, total, currency)
        assert self.move(invoice_id, status="sent").status_code == 200
        return invoice_id

    def move(self, invoice_id: str, **body: Any) -> Any:
        return self.office.patch(f"/api/invoices/{invoice_id}/status", json=body)

    def pay(self, _key: str | None = None, **body: Any) -> Any:
        headers = {"Idempotency-Key": _key} if _key else {}
        asked = {"amount": "60.00", "method": "bank_transfer", **body}
        return self.office.post("/api/payments", json=asked, headers=headers)

    def paid(self, **body: Any) -> dict[str, Any]:
        answer = self.pay(confirm_duplicate=True, **body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def revise(self, payment_id: str, **body: Any) -> Any:
        return self.office.put(f"/api/payments/{payment_id}", json=body)

    def credit(self, client_id: str, **body: Any) -> Any:
        asked = {"type": "goodwill", **body}
        return self.office.post(f"/api/customers/{client_id}/credits", json=asked)

    def credited(self, client_id: str, **body: Any) -> dict[str, Any]:
        answer = self.credit(client_id, **body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def noted(self, client_id: str, invoice_id: str, **body: Any) -> dict[str, Any]:
        return self.credited(client_id, type="credit_note", invoice_id=invoice_id, **body)

    def do(self, credit: dict[str, Any], verb: str, **body: Any) -> Any:
        path = f"/api/customers/{credit['client_id']}/credits/{credit['id']}/{verb}"
        return self.office.post(path, json=body)

    def done(self, credit: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
        answer = self.do(credit, verb, **body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def shown(self, credit: dict[str, Any], **query: Any) -> dict[str, Any]:
        path = f"/api/customers/{credit['client_id']}/credits/{credit['id']}"
        answer = self.office.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refund(self, payment_id: str, **body: Any) -> Any:
        asked = {"method": "cash", **body}
        return self.office.post(f"/api/payments/{payment_id}/refund", json=asked)

    def available(self, client_id: str) -> dict[str, str]:
        """What is left of the client's credits, by currency."""
        path = f"/api/customers/{client_id}/credits/balance/total"
        found = self.office.get(path).json()["by_currency"]
        return {code: it["available"] for code, it in found.items()}

    def lines(self, client_id: str, prices: list[str], **more: Any) -> dict[str, Any]:
        """An issued invoice of some lines, as it is shown."""
        written = [{"description": f"Line {it}", "unit_price": it} for it in prices]
        if "tax_rate" in more:
            rate = more.pop("tax_rate")
            written = [{**it, "tax_rate": rate} for it in written]
        body = {"client_id": client_id, "line_items": written, **more}
        made = self.office.made("/api/invoices", body)
        sent = self.move(made["id"], status="sent")
        assert sent.status_code == 200, sent.text
        found: dict[str, Any] = sent.json()
        return found

    def seen(self, invoice_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.office.get(f"/api/invoices/{invoice_id}").json()
        return found

    def balance(self, invoice_id: str) -> tuple[str, str]:
        it = self.seen(invoice_id)
        return it["status"], it["balance_due"]

    def owed(self, client_id: str) -> dict[str, str]:
        """What the client's account says, without currencies that are even."""
        tenant = self.office.tenant
        account = account_of(tenant, UUID(client_id))
        facts = self.office.facts(account)
        sums = Account.after(*(fact.event for fact in facts)).balances
        return {code: sums.get(code).text for code, it in sums.by_currency.items() if it}

    def story(self, stream: str) -> list[str]:
        return [type(fact.event).__name__ for fact in self.office.facts(stream)]

    def later(self, **by: int) -> None:
        """Move the clock, and log in again: a token lasts minutes."""
        office = self.office
        office.house.clock.moved += timedelta(**by)
        parts, now = office.house.parts, office.house.clock()
        token = parts.tokens.access(office.user, office.tenant, office.session, 1, now)
        office.http.headers["Authorization"] = f"Bearer {token}"

    def today(self) -> str:
        return str(datetime.now(UTC).date())

    @staticmethod
    def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        assert body["code"] == code, body
        return body


@pytest.fixture
def shop(office: Any) -> Shop:
    return Shop(office)


@pytest.fixture
def shop_in() -> type[Shop]:
    """Makes a shop of an office with other settings."""
    return Shop


class Pair:
    """Two clients of an office that are one: `gone` is to be merged into `keep`."""

    def __init__(self, office: Any) -> None:
        self.office, self.shop = office, Shop(office)
        self.keep, self.gone = self.client("Acme"), self.client("Acme Ltd")

    def client(self, name: str, **more: Any) -> str:
        return str(self.office.made("/api/clients", {"name": name, **more})["id"])

    def contact(self, client_id: str, **person: Any) -> str:
        return str(self.office.made(f"/api/customers/{client_id}/contacts", person)["id"])

    def account(self, iban: str, **more: Any) -> dict[str, Any]:
        return {"type": "iban", "iban": iban, "account_holder": "Acme", **more}

    def bank(self, client_id: str, iban: str, **more: Any) -> str:
        path = f"/api/customers/{client_id}/bank-accounts"
        return str(self.office.made(path, self.account(iban, **more))["id"])

    def asked(self, **more: Any) -> dict[str, Any]:
        return {"primary_id": self.keep, "duplicate_ids": [self.gone], **more}

    def merge(self, **more: Any) -> Any:
        return self.office.post("/api/clients/merge", json=self.asked(**more))

    def merged(self, **more: Any) -> dict[str, Any]:
        return self._ok(self.merge(**more))

    def undo(self, made: dict[str, Any], **more: Any) -> Any:
        body = {"merge_id": made["merge_id"], **more}
        return self.office.post("/api/clients/merge/undo", json=body)

    def undone(self, made: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self._ok(self.undo(made, **more))

    def get(self, path: str) -> dict[str, Any]:
        return self._ok(self.office.get(path))

    def history(self, client_id: str) -> list[dict[str, Any]]:
        return list(self.get(f"/api/clients/{client_id}/merge-history")["items"])

    def invoices(self, client_id: str) -> list[dict[str, Any]]:
        return list(self.get(f"/api/invoices/client/{client_id}")["items"])

    def payments(self, client_id: str) -> list[dict[str, Any]]:
        return list(self.get(f"/api/payments/client/{client_id}")["items"])

    def credits(self, client_id: str) -> list[dict[str, Any]]:
        return list(self.get(f"/api/customers/{client_id}/credits")["items"])

    def everything(self) -> list[Any]:
        """What is shown of both clients, but for when, how often and up to which fact."""
        seen: list[Any] = []
        for id in (self.keep, self.gone):
            client = self.get(f"/api/clients/{id}")
            seen.append({k: v for k, v in client.items() if k not in ("version", "updated_at")})
            seen += [self.invoices(id), self.payments(id), self.credits(id)]
            figures = self.get(f"/api/clients/{id}/analytics")
            seen.append({name: it for name, it in figures.items() if name != "position"})
            seen += [self.shop.available(id), self.shop.owed(id)]
        return seen

    @staticmethod
    def _ok(answer: Any) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def pair(office: Any) -> Pair:
    return Pair(office)
