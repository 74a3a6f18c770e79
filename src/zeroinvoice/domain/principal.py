"""Principals: who a token or a key speaks for, what must stand for it, what they may do."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from zeroinvoice.domain.access import Streams
from zeroinvoice.domain.api_key import ApiKey, bad_key
from zeroinvoice.domain.roles import ROLES, Permission
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.facts import Actor, State
from zeroinvoice.kernel.refusals import Forbidden, Missing, Unauthenticated
from zeroinvoice.kernel.value import Value

CONFIRMED: frozenset[Permission] = frozenset({"bank_accounts:write"})
"""What asks for a session whose user has lately proved to be themselves."""
HALF_WAY: frozenset[Permission] = frozenset({"logout"})
"""What may be done before the second factor came."""


class Principal(Value):
    """A user in the workspace they act in, and their session."""

    user: UUID
    tenant: UUID
    session: UUID
    until: datetime  # when the token ends

    @property
    def actor(self) -> Actor:
        return Actor("user", self.user)

    @property
    def standing(self) -> tuple[tuple[type[State[Any]], UUID], ...]:
        """The streams that say whether they are still let in, and to what."""
        return ((Session, self.session), (Workspace, self.tenant))

    def admit(self, streams: Streams, needed: Iterable[Permission]) -> None:
        """Raises `Unauthenticated` unless they are let in, `Forbidden` unless they may do this."""
        session = streams.find(Session, self.session, tenant=self.tenant)
        session.assert_open(streams.now)
        role = streams.find(Workspace, self.tenant, tenant=self.tenant).role_of(self.user)
        if role is None:
            raise Unauthenticated("You are no member of this workspace any more.")
        needed = tuple(needed)
        assert_granted(needed, ROLES[role])
        if not CONFIRMED.isdisjoint(needed):
            session.assert_fresh(streams.now)


class Entrant(Principal):
    """Somebody whose password was right and whose second factor is to come: they may send it."""

    def admit(self, streams: Streams, needed: Iterable[Permission]) -> None:
        """Raises `Forbidden` unless they would leave, `Unauthenticated` once the code came."""
        session = streams.find(Session, self.session, tenant=self.tenant)
        session.assert_standing(streams.now)
        needed = tuple(needed)
        if needed and not session.half:
            raise Unauthenticated("This login is finished; send the access token it led to.")
        if not HALF_WAY.issuperset(needed):
            session.assert_open(streams.now)


class KeyHolder(Value):
    """A program that shows one of a workspace's API keys."""

    key: UUID
    tenant: UUID
    token_hash: str

    @property
    def actor(self) -> Actor:
        return Actor("api_key", self.key)

    @property
    def standing(self) -> tuple[tuple[type[State[Any]], UUID], ...]:
        return ((ApiKey, self.key), (Workspace, self.tenant))

    def admit(self, streams: Streams, needed: Iterable[Permission]) -> None:
        """Raises `Unauthenticated` unless the key is good, `Forbidden` unless it may do this."""
        try:
            key = streams.find(ApiKey, self.key, tenant=self.tenant)
        except Missing:  # what it names is no key: anybody can write such a token
            raise bad_key() from None
        key.assert_good(self.token_hash, streams.now)
        assert_granted(needed, key.permissions)


Asking = Principal | KeyHolder


def assert_granted(needed: Iterable[Permission], granted: frozenset[Permission]) -> None:
    """Raises `Forbidden` `not_permitted`, which names what is lacking."""
    for permission in needed:
        if permission not in granted:
            raise not_permitted(permission)


def not_permitted(permission: Permission) -> Forbidden:
    return Forbidden(
        "This is not yours to do; ask somebody who may.",
        code="not_permitted",
        permission=permission,
    )
