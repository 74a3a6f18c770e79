"""Rotation: the keys of a served installation change, one process after the other, under load."""

import os
import secrets
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from barriers import wait_for
from figures import SEEN
from installation import OURS
from offices import PASSWORD

OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)
MASTER_OLD, MASTER_NEW = secrets.token_hex(32), secrets.token_hex(32)
# First every process knows the new keys, then they are the current ones.
STAGES = (
    (f"{OLD},{NEW}", f"{MASTER_OLD},{MASTER_NEW}"),
    (f"{NEW},{OLD}", f"{MASTER_NEW},{MASTER_OLD}"),
)


class Caller:
    """Somebody who goes on all the while: with an old token, and with tokens that are renewed."""

    def __init__(self, installation: Any, office: Any) -> None:
        self._url, self._office = installation.url, office
        self.old = dict(office.headers)
        self.rounds = 0
        self.answers: list[tuple[str, int, str]] = []
        said = self.ask("POST", "/api/auth/login", data=self._login())
        self.given: dict[str, str] = said.json()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request, sent again where the process that had it went away: it has a key."""
        headers = {**options.pop("headers", {}), "Idempotency-Key": uuid4().hex}
        until = time.monotonic() + 10
        while True:
            try:
                return httpx.request(
                    method, f"{self._url}{path}", headers=headers, timeout=8, **options
                )
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.02)

    def add_account(self) -> httpx.Response:
        body = {"type": "other", "account_number": uuid4().hex[:20], "account_holder": "Acme Corp"}
        path = f"/api/customers/{self._office.a_client()}/bank-accounts"
        return self.ask("POST", path, json=body, headers=self.old)

    def renew(self) -> httpx.Response:
        body = {"refresh_token": self.given["refresh_token"]}
        said = self.ask("POST", "/api/auth/refresh", json=body)
        if said.status_code == 200:
            self.given = said.json()
        return said

    @property
    def fresh(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.given['access_token']}"}

    def _go_on(self) -> None:
        while not self._stop.is_set():
            for said in (
                self.ask("GET", "/api/clients", headers=self.old),
                self.add_account(),
                self.renew(),
                self.ask("GET", "/api/invoices", headers=self.fresh),
            ):
                shown = "" if said.is_success else said.text
                self.answers.append((str(said.request.url), said.status_code, shown))
            self.rounds += 1

    def _login(self) -> dict[str, str]:
        return {"username": self._office.email, "password": PASSWORD}


def test_both_keys_rotate_under_load_without_a_failed_request(
    install: Any, open_office: Any
) -> None:
    """T45: 0 failed while processes are restarted in turn; old tokens are 401 without their key."""
    env = {"ZEROINVOICE_SECRET": OLD, "ZEROINVOICE_MASTER_KEY": MASTER_OLD}
    installation = install(**env)
    apis = installation.start_by_hand("api", "api")
    installation.start_by_hand("work")
    office = open_office(installation)
    with Caller(installation, office) as caller:
        for secret, master in STAGES:
            env = {"ZEROINVOICE_SECRET": secret, "ZEROINVOICE_MASTER_KEY": master}
            apis = [replaced(installation, it, env, caller) for it in apis]
        rotated = subprocess.run(
            [*OURS, "vault", "rotate"],
            env={**installation.env, **env, "DATABASE_URL": installation.database()},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert rotated.returncode == 0, rotated.stderr
        env = {"ZEROINVOICE_SECRET": secret, "ZEROINVOICE_MASTER_KEY": MASTER_NEW}
        apis = [replaced(installation, it, env, caller) for it in apis]
    failed = [it for it in caller.answers if it[1] not in (200, 201)]
    assert not failed, failed[:3]
    SEEN.append(f"key rotation: {len(caller.answers)} requests, 0 failed")
    env = {"ZEROINVOICE_SECRET": NEW, "ZEROINVOICE_MASTER_KEY": MASTER_NEW}
    apis = [replaced(installation, it, env) for it in apis]
    assert caller.ask("GET", "/api/clients", headers=caller.old).status_code == 401
    assert caller.add_account().status_code == 401
    assert caller.renew().status_code == 200
    assert caller.ask("GET", "/api/clients", headers=caller.fresh).status_code == 200


def replaced(
    installation: Any,
    old: subprocess.Popen[bytes],
    env: dict[str, str],
    caller: Caller | None = None,
) -> subprocess.Popen[bytes]:
    """Another process in the place of an old one, which ends what it has begun."""
    before = listeners(installation.port)
    it: subprocess.Popen[bytes]
    (it,) = installation.start_by_hand("api", env=env)
    wait_for(lambda: listeners(installation.port) > before, "the next process to listen", 30)
    if caller is not None:  # go on for a while, with one that knows less than the other
        rounds = caller.rounds + 3
        wait_for(lambda: caller.rounds >= rounds, "the caller to go on", 30)
    os.kill(old.pid, signal.SIGTERM)
    assert old.wait(15) in (0, -signal.SIGTERM)
    return it


def listeners(port: int) -> int:
    """How many sockets take connections at a port; each process of the API has one."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)
