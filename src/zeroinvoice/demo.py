"""The demo: a year of believable business, written through the public API like anybody's."""

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import httpx

from zeroinvoice.kernel.value import Value

SEED = 1494  # the same year each time
TRIES = 6  # of one request while the service is away or busy
NEWEST_DRAFTS = 6

TAXES = (
    ("VAT23", "VAT 23 %", "23", "S"),
    ("VAT13", "VAT 13.5 %", "13.5", "S"),
    ("VAT0", "VAT 0 %", "0", "Z"),
)
RATES = {"USD": "0.92", "GBP": "1.17", "JPY": "0.0061"}  # euros for one, about


class Customer(Value):
    """A client of the story: where it is, and how well it pays."""

    name: str
    city: str
    country: str
    currency: str
    terms: str
    habit: str  # prompt, usual, slow, never
    tax: str = "VAT23"
    monthly: str | None = None  # what it is billed for every month


CUSTOMERS = (
    Customer("Harbour Lane Bakery", "Galway", "IE", "EUR", "net 14", "prompt", "VAT13"),
    Customer("Bluepine Dental Practice", "Cork", "IE", "EUR", "net 30", "usual"),
    Customer("Old Mill Brewing", "Kilkenny", "IE", "EUR", "net 30", "slow"),
    Customer("Riverside Physiotherapy", "Limerick", "IE", "EUR", "net 14", "prompt"),
    Customer("Saltmarsh Outdoor", "Sligo", "IE", "EUR", "net 30", "usual", monthly="180"),
    Customer("Castle Street Books", "Dublin", "IE", "EUR", "due on receipt", "usual", "VAT0"),
    Customer("Tidewater Logistics", "Waterford", "IE", "EUR", "net 30", "slow", monthly="950"),
    Customer("Copperfield Joinery", "Wexford", "IE", "EUR", "eom", "never"),
    Customer("Ferndale Primary School", "Athlone", "IE", "EUR", "net 30", "usual", "VAT0"),
    Customer("Lantern Theatre", "Dublin", "IE", "EUR", "net 14", "slow"),
    Customer("Elmwood Garden Centre", "Naas", "IE", "EUR", "net 30", "prompt", "VAT13"),
    Customer("Drei Linden Architektur", "Leipzig", "DE", "EUR", "net 30", "prompt", monthly="420"),
    Customer("Nordlicht Messebau", "Kiel", "DE", "EUR", "eom + 14", "slow"),
    Customer("Atelier du Canal", "Lyon", "FR", "EUR", "net 45", "usual"),
    Customer("Bodega Las Cumbres", "Sevilla", "ES", "EUR", "net 30", "usual"),
    Customer("Polder Fietsen", "Utrecht", "NL", "EUR", "net 14", "prompt", monthly="260"),
    Customer("Foxglove Veterinary", "Leeds", "GB", "GBP", "net 30", "usual", monthly="340"),
    Customer("Stonebridge Surveyors", "Bristol", "GB", "GBP", "net 30", "slow"),
    Customer("Marigold Catering", "York", "GB", "GBP", "net 14", "prompt"),
    Customer("Granite Peak Software", "Denver", "US", "USD", "net 30", "prompt", monthly="1200"),
    Customer("Prairie Solar", "Omaha", "US", "USD", "2% 10 net 30", "prompt"),
    Customer("Bayou Freight", "Houston", "US", "USD", "net 45", "slow"),
    Customer("Juniper Yoga Studio", "Portland", "US", "USD", "net 14", "usual"),
    Customer("Cedar & Ash Interiors", "Boston", "US", "USD", "net 30", "never"),
    Customer("Midori Tea Trading", "Kyoto", "JP", "JPY", "net 30", "usual", monthly="38000"),
)

WORK = (
    ("Website design, {n} pages", "220", "hours", 14),
    ("API integration", "95", "hours", 30),
    ("Consulting on site", "680", "days", 4),
    ("Search engine audit", "540", None, 1),
    ("Brand guidelines", "1450", None, 1),
    ("Product photography", "75", "pieces", 24),
    ("Newsletter template", "390", None, 1),
    ("Data migration", "110", "hours", 18),
    ("Training for the team", "520", "days", 2),
    ("Accessibility review", "880", None, 1),
    ("Annual hosting", "348", "years", 1),
    ("Bug fixing", "90", "hours", 9),
)
METHODS = ("bank_transfer", "bank_transfer", "bank_transfer", "card", "direct_debit", "check")
DELAYS = {"prompt": (-9, 1), "usual": (-3, 9), "slow": (6, 48)}  # days around the due day


class Billed(Value):
    """An invoice of the story before it is written."""

    customer: int
    day: date
    lines: tuple[dict[str, Any], ...]
    discount: bool = False


class Stopped(Exception):
    """The story cannot go on; the message says why, for the person at the terminal."""


class Api:
    """The public API as one user sees it. Every write has a key, so it may be sent again."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self._run = UUID(bytes=secrets.token_bytes(16))
        self._step = 0

    def send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """One request, repeated while the service is away. Raises `Stopped`."""
        self._step += 1
        key = str(uuid5(self._run, str(self._step)))
        pause = 0.25
        for left in reversed(range(TRIES)):
            try:
                answer = self.http.request(
                    method, path, headers={"Idempotency-Key": key}, **content
                )
            except httpx.TransportError as lost:
                if not left:
                    raise Stopped(f"{self.http.base_url} cannot be reached: {lost}") from lost
            else:
                if answer.is_success:
                    body: dict[str, Any] = answer.json() if answer.content else {}
                    return body
                if answer.status_code not in (429, 503) or not left:
                    raise Stopped(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        raise AssertionError("the last try answers or stops")

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self.send("POST", path, json=body)


def play(url: str, say: Callable[[str], None], *, scale: float = 1.0) -> int:
    """Fill a new workspace and say its login; answers 0, or 1 with the reason said.

    `scale` shortens the story: 0.1 writes about a tenth of it.
    """
    api = Api(url)
    try:
        _play(api, say, scale)
    except Stopped as stopped:
        say(str(stopped))
        return 1
    finally:
        api.http.close()
    return 0


def _play(api: Api, say: Callable[[str], None], scale: float) -> None:
    chance = random.Random(SEED)
    today = datetime.now(UTC).date()
    email = f"user+{secrets.token_hex(4)}@example.com"
    password = secrets.token_urlsafe(15)
    _open(api, email, password)
    customers = CUSTOMERS[: max(3, round(len(CUSTOMERS) * min(scale, 1.0)))]
    clients = [_client(api, it) for it in customers]
    say(f"Added {len(clients)} clients.")
    story = sorted(_story(chance, customers, today, scale), key=lambda it: it.day)
    done: Counter[str] = Counter()
    for number, billed in enumerate(story):
        customer, client_id = customers[billed.customer], clients[billed.customer]
        last = len(story) - number <= max(1, round(NEWEST_DRAFTS * scale))
        done[_bill(api, chance, billed, customer, client_id, today, draft=last)] += 1
        if number % 50 == 49:
            say(f"Wrote {number + 1} of {len(story)} invoices.")
    states = ", ".join(f"{many} {state}" for state, many in done.most_common())
    say(f"Wrote {len(story)} invoices: {states}.")
    _tell(say, str(api.http.base_url).rstrip("/"), email, password)


def _open(api: Api, email: str, password: str) -> None:
    api.post(
        "/api/auth/register",
        email=email,
        password=password,
        full_name="Demo Owner",
        company_name="Quayside Digital",
        base_currency="EUR",
        time_zone="Europe/Dublin",
    )
    login = {"username": email, "password": password}
    token = api.send("POST", "/api/auth/login", data=login)["access_token"]
    api.http.headers["Authorization"] = f"Bearer {token}"
    api.send(
        "PATCH",
        "/api/workspace",
        json={
            "default_terms": "net 30",
            "seller": {
                "legal_name": "Quayside Digital Limited",
                "address": "1 Example Quay\nDublin\nIreland",
                "email": "accounts@quayside.example",
                "payment_instructions": "By bank transfer, quoting the invoice number.",
            },
        },
    )
    for code, name, rate, category in TAXES:
        api.post("/api/workspace/tax-codes", code=code, name=name, rate=rate, category=category)


def _client(api: Api, it: Customer) -> str:
    word = "".join(c for c in it.name.lower() if c.isalpha())
    abroad = "none" if it.country == "IE" else "reverse_charge"
    made = api.post(
        "/api/clients",
        name=it.name,
        email=f"accounts@{word}.example",
        city=it.city,
        country=it.country,
        currency=it.currency,
        payment_terms=it.terms,
        tax_exempt=abroad,
        tags=["monthly"] if it.monthly else [],
    )
    return str(made["id"])


def _story(
    chance: random.Random, customers: tuple[Customer, ...], today: date, scale: float
) -> Iterator[Billed]:
    """What was billed in the past year: retainers each month, projects now and then."""
    for index, it in enumerate(customers):
        if it.monthly:
            for month in range(max(1, round(12 * scale))):
                day = today - timedelta(days=30 * month + 4)
                line = _line(it, f"Support and hosting, {day:%B %Y}", it.monthly, None, 1)
                yield Billed(index, day, (line,))
        for _ in range(max(1, round(scale * chance.randint(2, 8)))):
            day = today - timedelta(days=chance.randint(0, 364))
            yield Billed(index, day, tuple(_project(chance, it)), chance.random() < 0.12)


def _project(chance: random.Random, it: Customer) -> Iterator[dict[str, Any]]:
    for name, price, unit, most in chance.sample(WORK, chance.randint(1, 4)):
        text = name.format(n=chance.randint(4, 12))
        price = str(int(price) * 160) if it.currency == "JPY" else price
        yield _line(it, text, price, unit, chance.randint(1, most))


def _line(it: Customer, text: str, price: str, unit: str | None, many: int) -> dict[str, Any]:
    line: dict[str, Any] = {"description": text, "quantity": many, "unit_price": price}
    return {**line, "tax_codes": [it.tax], **({"unit": unit} if unit else {})}


def _bill(
    api: Api,
    chance: random.Random,
    billed: Billed,
    it: Customer,
    client_id: str,
    today: date,
    *,
    draft: bool,
) -> str:
    """Write one invoice and what became of it; answers in which state that left it."""
    body: dict[str, Any] = {
        "client_id": client_id,
        "issue_date": billed.day.isoformat(),
        "line_items": billed.lines,
        "notes": "Thank you for your business.",
        "reference": f"Job {chance.randint(1000, 9999)}",
    }
    if billed.discount:
        body["discount"] = {"type": "percent", "value": "5"}
    if it.currency in RATES:
        body |= {"fx_rate": RATES[it.currency], "fx_source": "demo"}
    invoice = api.post("/api/invoices", **body)
    luck = chance.random()
    if draft:
        return "draft"
    if luck < 0.015:
        api.send("DELETE", f"/api/invoices/{invoice['id']}")
        return "deleted"
    invoice = _move(api, invoice, "sent")
    if luck < 0.045:
        return str(_move(api, invoice, "cancelled", reason="Ordered twice")["status"])
    due = date.fromisoformat(invoice["due_date"])
    if it.habit == "never":
        if (today - due).days > 120:
            return str(_move(api, invoice, "written_off", reason="Insolvent")["status"])
        return str(invoice["status"])
    paid_on = max(billed.day, due + timedelta(days=chance.randint(*DELAYS[it.habit])))
    if paid_on > today:
        return str(invoice["status"])
    left = _pay(api, chance, invoice, paid_on, today, parts=2 if luck > 0.9 else 1)
    return "paid" if not left else "partly paid"


def _move(api: Api, invoice: dict[str, Any], status: str, **more: Any) -> dict[str, Any]:
    where = f"/api/invoices/{invoice['id']}/status"
    return api.send("PATCH", where, json={"status": status, **more})


def _pay(
    api: Api,
    chance: random.Random,
    invoice: dict[str, Any],
    paid_on: date,
    today: date,
    *,
    parts: int,
) -> bool:
    """Pay an invoice at once or in parts, as far as today; answers whether something is left."""
    digits = len(invoice["total"].partition(".")[2])
    left = int(invoice["balance_due"].replace(".", ""))  # in minor units
    for part in reversed(range(parts)):
        if not left or paid_on > today:
            break
        minor = max(1, left * 2 // 5) if part else left
        text = str(minor).rjust(digits + 1, "0")
        amount = f"{text[:-digits]}.{text[-digits:]}" if digits else text
        api.post(
            "/api/payments",
            invoice_id=invoice["id"],
            amount=amount,
            currency=invoice["currency"],
            method=chance.choice(METHODS),
            received_on=paid_on.isoformat(),
            reference=f"{invoice['number']}/{chance.randint(100, 999)}",
        )
        left -= minor
        paid_on += timedelta(days=chance.randint(12, 40))
    return bool(left)


def _tell(say: Callable[[str], None], url: str, email: str, password: str) -> None:
    say("")
    say(f"  E-mail    {email}")
    say(f"  Password  {password}")
    say("")
    say("Look around:")
    say(f"  TOKEN=$(curl -s {url}/api/auth/login -F username={email} -F password={password} \\")
    say("    | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"access_token\"])')")
    for path in ("invoices/overdue", "invoices/search?q=overdue+over+500", "audit/logs?limit=5"):
        say(f"  curl -s -H \"Authorization: Bearer $TOKEN\" '{url}/api/{path}'")
    say(f"  {url}/docs")
