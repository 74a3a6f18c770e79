"""Shredding: what was removed is made unreadable, in every copy, by destroying its key."""

from functools import partial
from uuid import UUID

from zeroinvoice.domain.bank_accounts import BankAccountRemoved
from zeroinvoice.domain.client import ClientDeleted, ClientErased
from zeroinvoice.gateways.vault import Shredder
from zeroinvoice.kernel.facts import Fact, topics_of
from zeroinvoice.policies.policy import Action, Look


class Shredding:
    """Follows the facts of removal, so a crash between the two loses nothing."""

    name = "policy:shredding"
    topics = topics_of(BankAccountRemoved, ClientDeleted, ClientErased)

    def __init__(self, shredder: Shredder) -> None:
        self._shredder = shredder

    async def react(self, fact: Fact, look: Look) -> list[Action]:
        match fact.event:
            case BankAccountRemoved(sealed_by=key):
                return [self._destroy(fact, key)]
            case ClientDeleted() | ClientErased():
                return [self._destroy(fact, fact.stream)]
            case _:
                return []

    def _destroy(self, fact: Fact, key: UUID) -> Action:
        return Action(key.hex, None, partial(self._shredder.destroy, fact.tenant, key))
