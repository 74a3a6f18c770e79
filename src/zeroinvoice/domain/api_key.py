"""API keys: what a program of the customer's shows to act in their workspace."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, date, datetime, timedelta
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.roles import FOR_KEYS, Permission
from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.refusals import Invalid, Unauthenticated
from zeroinvoice.kernel.secrets import Keyring

LASTS = timedelta(days=90)  # unless it is said otherwise
LONGEST = timedelta(days=366)
PREFIX = "zik_"  # by which people, and programs that look for leaked secrets, know one

BEFORE = datetime.min.replace(tzinfo=UTC)

_TOKEN = re.compile(r"zik_([A-Za-z0-9_-]{43})[A-Za-z0-9_-]{43}")

# Events


class ApiKeyIssued(Event):
    name: str
    permissions: tuple[Permission, ...]  # sorted
    expires_at: datetime
    token_hash: str  # SHA-256 in hex; the token itself is shown once and never stored
    ends_with: str  # its last four characters, by which people tell keys apart


class ApiKeyUsed(Event):
    """The first request with it on a day (UTC); later ones of that day are not on record here."""

    used_on: date


class ApiKeyRevoked(Event):
    pass


ApiKeyEvent = ApiKeyIssued | ApiKeyUsed | ApiKeyRevoked

# State


class ApiKey(State[ApiKeyEvent]):
    name: str = ""
    permissions: frozenset[Permission] = frozenset()
    expires_at: datetime = BEFORE
    token_hash: str = ""
    ends_with: str = ""
    last_used_on: date | None = None
    revoked_at: datetime | None = None

    def evolve(self, event: ApiKeyEvent) -> Self:
        match event:
            case ApiKeyIssued(name, permissions, expires_at, token_hash, ends_with):
                return self.but(
                    name=name,
                    permissions=frozenset(permissions),
                    expires_at=expires_at,
                    token_hash=token_hash,
                    ends_with=ends_with,
                )
            case ApiKeyUsed(used_on=used_on):
                return self.but(last_used_on=used_on)
            case ApiKeyRevoked():
                return self.but(revoked_at=self.changed_at or BEFORE)
            case _:
                assert_never(event)

    def issue(
        self,
        name: str,
        permissions: tuple[Permission, ...],
        expires_at: datetime | None,
        token: str,
        now: datetime,
    ) -> Events:
        name = name.strip()
        if not name or len(name) > 100 or not name.isprintable():
            raise Invalid("A key has a name of 1 to 100 characters.", code="bad_name")
        if not permissions:
            raise Invalid("A key that may do nothing is of no use.", code="no_permissions")
        for permission in permissions:
            if permission not in FOR_KEYS:
                raise Invalid(
                    f"{permission} is for people alone.", code="not_for_keys", permission=permission
                )
        expires_at = expires_at or now + LASTS
        if not now < expires_at <= now + LONGEST:
            raise Invalid("A key expires within a year from now.", code="bad_expiry")
        granted = tuple(sorted(set(permissions)))
        yield ApiKeyIssued(name, granted, expires_at, digest(token), token[-4:])

    def use(self, used_on: date) -> Events:
        if self.last_used_on is None or used_on > self.last_used_on:
            yield ApiKeyUsed(used_on)

    def revoke(self) -> Events:
        if self.revoked_at is None:
            yield ApiKeyRevoked()

    def assert_good(self, token_hash: str, now: datetime) -> None:
        """Raises `Unauthenticated` unless the key stands, and this is the hash of its token."""
        same = hmac.compare_digest(self.token_hash.encode(), token_hash.encode())
        if not same or not self.version or self.revoked_at is not None:
            raise bad_key()
        if now >= self.expires_at:
            raise Unauthenticated("The API key has expired.", code="api_key_expired")


def key_token(keyring: Keyring, tenant: UUID, id: UUID) -> str:
    """What a program sends: the key's place, and 256 bits that only we could have made.

    It is derived, so that who repeats the request for it sees the same. What is checked
    later is its hash on record, so it outlives the secret that it was derived with.
    """
    place = urlsafe_b64encode(tenant.bytes + id.bytes).rstrip(b"=").decode()
    return f"{PREFIX}{place}{keyring.seal('api-key', place)}"


def place_of(token: str) -> tuple[UUID, UUID]:
    """The tenant and the key that a token names. Raises `Unauthenticated` if it is none."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise bad_key()
    place = urlsafe_b64decode(match[1] + "=")
    return UUID(bytes=place[:16]), UUID(bytes=place[16:])


def digest(token: str) -> str:
    """256 bits of chance need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def bad_key() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.")
