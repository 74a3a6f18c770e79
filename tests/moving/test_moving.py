"""Moving: a workspace on another server answers everything as it did where it came from."""

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg
import pytest
from litestar.routes import HTTPRoute

from zeroinvoice.gateways.sealing import MasterKeys, Unsound
from zeroinvoice.gateways.vault import Vault
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.fence import READ_ROLE, within
from zeroinvoice.journal.heads import Signer
from zeroinvoice.journal.proof import verify
from zeroinvoice.journal.schema import conninfo, migrate
from zeroinvoice.kernel.refusals import Missing, Refused
from zeroinvoice.moving import FACTS, HEADS, Moved, pack, unpack

PASSWORD = "correct horse battery"
TRANSFER, ELSE = MasterKeys([bytes(range(32))]), MasterKeys([bytes(range(32, 64))])
SECRET, MASTER = secrets.token_hex(32), secrets.token_hex(32)  # of the other server
THERE = {"ZEROINVOICE_SECRET": SECRET, "ZEROINVOICE_MASTER_KEY": MASTER}
APART = (  # what is of the server, of the moment, or signed by the server's own key
    "/api/health", "/api/ready", "/api/auth/ainative", "/api/audit/proofs",
    "/api/audit/compliance-report", "/api/activity/ws-stats",
)  # fmt: skip


class Owner:
    """Somebody who registered, and their workspace with some of everything in it."""

    def __init__(self, house: Any, name: str) -> None:
        self.house, self.email = house, f"{uuid4().hex}@example.com"
        self.http = httpx.Client(base_url=house.url, timeout=20)
        body = {"email": self.email, "password": PASSWORD, "full_name": name, "auto_login": True}
        made = self.made("POST", "/api/auth/register", **body)
        self.http.headers["Authorization"] = f"Bearer {made['access_token']}"
        claims = jwt.decode(made["access_token"], options={"verify_signature": False})
        self.user, self.tenant = UUID(claims["sub"]), UUID(claims["tid"])
        self.session = UUID(claims["sid"])
        self.ids: dict[str, str] = {"user_id": str(self.user), "resource_type": "client"}

    def made(self, method: str, path: str, /, **body: Any) -> Any:
        answer = self.http.request(method, path, json=body or None)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json() if answer.content else None

    def busy(self) -> None:
        """A client with contacts and an account, invoices, money, a merge, and somebody erased."""
        client = self.made("POST", "/api/clients", name="Acme Corp", email="billing@acme.example")
        home, id = f"/api/customers/{client['id']}", client["id"]
        contact = self.made("POST", f"{home}/contacts", first_name="Jane")
        iban = {"type": "iban", "iban": "DE89370400440532013000", "account_holder": "Acme"}
        account = self.made("POST", f"{home}/bank-accounts", **iban)
        lines = [{"description": "Work", "unit_price": "100.00"}]
        invoice = self.made("POST", "/api/invoices", client_id=id, line_items=lines)
        self.made("PATCH", f"/api/invoices/{invoice['id']}/status", status="sent")
        paid = {"invoice_id": invoice["id"], "amount": "60.00", "method": "cash"}
        payment = self.made("POST", "/api/payments", **paid)
        credit = self.made("POST", f"{home}/credits", type="goodwill", amount="5.00")
        twin = self.made("POST", "/api/clients", name="Acme Corporation")
        merged = {"primary_id": id, "duplicate_ids": [twin["id"]]}
        merge = self.made("POST", "/api/clients/merge", **merged)
        gone = self.made("POST", "/api/clients", name="Zephyrine Quillfeather")
        self.made("POST", f"/api/clients/{gone['id']}/erase", confirm_name=gone["name"])
        tax = {"code": "VAT", "name": "VAT", "rate": "20"}
        self.made("POST", "/api/workspace/tax-codes", **tax)
        self.ids |= {
            "client_id": id,
            "contact_id": contact["id"],
            "account_id": account["id"],
            "invoice_id": invoice["id"],
            "payment_id": payment["id"],
            "credit_id": credit["id"],
            "merge_id": str(merge.get("merge_id") or merge.get("id")),
            "resource_id": id,
            "code": "VAT",
            "gone": gone["id"],
        }

    def read(self, house: Any, as_of: str) -> dict[str, Any]:
        """What every read answers, at an instant where it can; cursors are sealed by a server."""
        token = house.parts.tokens.access(self.user, self.tenant, self.session, 1, house.clock())
        told = {}
        with httpx.Client(base_url=house.url, timeout=20) as http:
            http.headers["Authorization"] = f"Bearer {token}"
            for path, handler in reads(house.app):
                query = {"q": "Acme"} if path.endswith("/search") else {}
                if handler.opt["as_of"] != "never":
                    query["as_of"] = as_of
                answer = http.get(path.format(**self.ids), params=query)
                assert answer.status_code == 200, (path, answer.text)
                body = answer.json()
                told[path] = body | {"next_cursor": None} if isinstance(body, dict) else body
        return told


def reads(app: Any) -> list[tuple[str, Any]]:
    """Every GET of the API that a workspace answers, with its handler."""
    return [
        (route.path_format, route.route_handler_map["GET"][0])
        for route in app._app.routes
        if isinstance(route, HTTPRoute)
        and "GET" in route.route_handler_map
        and route.path_format.startswith("/api")
        and not route.path_format.startswith(APART)
    ]


def packed(owner: Owner, folder: Path, transfer: MasterKeys = TRANSFER) -> int:
    settings = owner.house.settings
    masters, signer = MasterKeys(settings.master_keys), Signer(owner.house.parts.keyring)
    now = datetime.now(UTC)
    return pack(owner.house.database_url, owner.tenant, folder, signer, masters, transfer, now)


def unpacked(url: str, folder: Path, transfer: MasterKeys = TRANSFER, *keys: str) -> Moved:
    own = MasterKeys([bytes.fromhex(MASTER)])
    return unpack(url, folder, keys, own, transfer, ("policy:letters",), datetime.now(UTC))


def key_of(house: Any, owner: Owner) -> str:
    """What the key that guards the client's bank numbers makes of a text."""

    @contextmanager
    def connected(tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
        url = conninfo(house.database_url, READ_ROLE, application="test")
        with psycopg.connect(url, autocommit=True) as connection, within(connection, tenant):
            yield connection

    vault = Vault(MasterKeys(house.settings.master_keys), connected)
    key = vault.existing(owner.tenant, UUID(owner.ids["client_id"]))
    assert key is not None
    return key.fingerprint("test", "text")


def head_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(max(position), 0) FROM facts").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def empty(new_database: Callable[[], str]) -> str:
    url = new_database()
    migrate(url)
    return url


@pytest.fixture
def owner(house: Any) -> Owner:
    """Whose facts lie between those of somebody else."""
    it, beside = Owner(house, "Jane Dev"), Owner(house, "Gus Guest")
    it.made("PATCH", "/api/workspace", retention_years=0)
    for _ in range(2):
        beside.made("POST", "/api/clients", name="Somebody Else")
        it.made("POST", "/api/clients", name="Beside")
    it.busy()
    beside.made("POST", "/api/clients", name="Somebody Else")
    return it


def test_every_read_answers_the_same_on_another_server(
    owner: Owner, empty: str, open_house: Any, eventually: Any, tmp_path: Path
) -> None:
    """Portable tenant: same positions, hashes and answers, under other keys."""
    as_of = datetime.now(UTC).isoformat()
    before = owner.read(owner.house, as_of)
    assert len(before) > 30
    count = packed(owner, tmp_path / "moved")
    moved = unpacked(empty, tmp_path / "moved")
    assert (moved.tenant, moved.facts, moved.members) == (owner.tenant, count, 1)
    there = open_house(empty, **THERE)
    eventually(lambda: owner.read(there, as_of)["/api/clients"] == before["/api/clients"])
    after = owner.read(there, as_of)
    assert after.keys() == before.keys()
    for path, body in before.items():
        assert after[path] == body, path


def test_the_moved_workspace_lives_on(
    owner: Owner, empty: str, open_house: Any, tmp_path: Path
) -> None:
    """Its owner logs in with their password, numbers go on, and nothing of the chain is broken."""
    packed(owner, tmp_path)
    unpacked(empty, tmp_path)
    there = open_house(empty, **THERE)
    with httpx.Client(base_url=there.url, timeout=20) as http:
        form = {"username": owner.email, "password": PASSWORD}
        token = http.post("/api/auth/login", data=form).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        lines = [{"description": "Work", "unit_price": "100.00"}]
        body = {"client_id": owner.ids["client_id"], "line_items": lines}
        id = http.post("/api/invoices", json=body).json()["id"]
        sent = http.patch(f"/api/invoices/{id}/status", json={"status": "sent"}).json()
        assert sent["number"].endswith("00002")
        listed = http.get("/api/invoices").json()["items"]
        assert [it["number"] for it in listed if it["id"] == id] == [sent["number"]]
        gone = http.get(f"/api/clients/{owner.ids['gone']}").json()
        assert (gone["name"], gone["erased"]) == ("[erased]", True)
    assert key_of(there, owner) == key_of(owner.house, owner)
    journal = Journal.at(empty)
    found = verify(journal.every_row(), elsewhere=journal.elsewhere())
    journal.close()
    assert owner.tenant in found.heads
    assert journal.elsewhere()


def test_what_does_not_hold_is_not_taken_over(owner: Owner, empty: str, tmp_path: Path) -> None:
    """All of it or nothing: a changed fact, a cut tail, a strange head, another transfer key."""
    packed(owner, tmp_path)
    facts, heads = tmp_path / FACTS, tmp_path / HEADS
    whole, head = facts.read_bytes(), heads.read_bytes()
    lines = whole.splitlines(keepends=True)
    for changed in (
        whole.replace(b"Beside", b"Behind", 1),
        b"".join(lines[:-1]),
        b"".join([*lines[:3], lines[4], lines[3], *lines[5:]]),
        lines[0].replace(str(owner.tenant).encode(), str(uuid4()).encode()) + b"".join(lines[1:]),
    ):
        if changed == whole:
            continue  # names are sealed, so there is nothing to replace
        facts.write_bytes(changed)
        with pytest.raises(Broken):
            unpacked(empty, tmp_path)
    facts.write_bytes(whole)
    heads.write_bytes(head.replace(b'"size":', b'"size":1'))
    with pytest.raises(Broken):
        unpacked(empty, tmp_path)
    heads.write_bytes(head)
    with pytest.raises(Broken):
        unpacked(empty, tmp_path, TRANSFER, "00" * 32)
    with pytest.raises(Unsound):
        unpacked(empty, tmp_path, ELSE)
    assert head_of(empty) == 0


def test_a_workspace_is_taken_over_into_an_empty_journal_that_nobody_follows(
    owner: Owner, empty: str, tmp_path: Path
) -> None:
    packed(owner, tmp_path)
    with psycopg.connect(empty) as follower:
        follower.execute("SELECT pg_advisory_lock(hashtextextended('policy:letters', 0))")
        with pytest.raises(Refused) as running:
            unpacked(empty, tmp_path)
    assert running.value.code == "policies_running"
    unpacked(empty, tmp_path)
    head = head_of(empty)
    with pytest.raises(Refused) as full:
        unpacked(empty, tmp_path)
    assert full.value.code == "journal_not_empty"
    assert head_of(empty) == head
    owner.tenant = uuid4()
    with pytest.raises(Missing):
        packed(owner, tmp_path / "nobody")


def test_the_command_line_moves_a_workspace(owner: Owner, empty: str, tmp_path: Path) -> None:
    """From one server to another, with a key that is carried by another way."""

    def run(url: str, data: Path, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "zeroinvoice", *map(str, words)],
            env={"DATABASE_URL": url, "ZEROINVOICE_DATA": str(data)},
            capture_output=True,
            text=True,
            check=False,
        )

    folder, key = tmp_path / "moved", tmp_path / "transfer.key"
    place = ("--key-file", key)
    here, there = owner.house.settings.data, tmp_path / "there"
    made = run(owner.house.database_url, here, "workspace", "export", owner.tenant, folder, *place)
    assert made.returncode == 0, made.stderr
    assert key.stat().st_mode & 0o077 == 0
    checked = run("", there, "journal", "verify", folder / FACTS, "--heads", folder / HEADS)
    assert checked.returncode == 0, checked.stderr
    wrong = tmp_path / "wrong.key"
    wrong.write_text("ab" * 32)
    refused = run(empty, there, "workspace", "import", folder, "--key-file", wrong)
    assert (refused.returncode, head_of(empty)) == (1, 0), refused.stderr
    taken = run(empty, there, "workspace", "import", folder, *place)
    assert taken.returncode == 0, taken.stderr
    assert "1 can log in" in taken.stdout
    assert run(empty, there, "projections", "rebuild", "--all").returncode == 0
    assert run(empty, there, "journal", "verify").returncode == 0
