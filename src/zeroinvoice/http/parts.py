"""What a process is put together from, as far as a handler may ask for it by name."""

from typing import Protocol, runtime_checkable

from litestar.di import NamedDependency

from zeroinvoice.gateways.vault import Vault
from zeroinvoice.http.auth import Tokens
from zeroinvoice.http.connections import Connections
from zeroinvoice.http.passwords import Passwords
from zeroinvoice.journal.committer import Committer
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.readside.pulse import Pulse
from zeroinvoice.readside.reader import Books
from zeroinvoice.settings import Settings


@runtime_checkable
class Parts(Protocol):
    """Only `zeroinvoice.app` makes one."""

    settings: Settings
    clock: Clock
    keyring: Keyring
    tokens: Tokens
    passwords: Passwords
    committer: Committer
    books: Books
    pulse: Pulse
    vault: Vault
    connections: Connections


Sharing = NamedDependency[Parts]


def idempotency_secret(parts: Parts) -> tuple[str, ...]:
    """What an Idempotency-Key is bound to where the body holds a secret.

    What is kept of a keyed request must not let anybody try passwords or numbers against it.
    """
    return parts.keyring.seals("idempotency", "")
