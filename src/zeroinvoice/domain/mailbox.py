"""Mailboxes: every e-mail address of the installation once, with the resets asked for it."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.facts import HOUSE, NIL, Event, Events, State
from zeroinvoice.kernel.ids import house_named
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.secrets import Keyring

RESET_LASTS = timedelta(hours=1)
MOST_RESETS = 5  # letters to one address within that time

BEFORE = datetime.min.replace(tzinfo=UTC)

# Events


class AddressClaimed(Event):
    user_id: UUID
    tenant: UUID


class AddressReleased(Event):
    """Whose it was has no account any more; it can be claimed again."""


class PasswordResetAsked(Event):
    """Recorded whether or not the address is claimed, so that asking tells nothing.

    The token is derived from this fact's place in the journal; it is never stored.
    """


class PasswordResetUsed(Event):
    pass


class StrangerRefused(Event):
    """Somebody tried to log in under an address that nobody has claimed."""


MailboxEvent = (
    AddressClaimed | AddressReleased | PasswordResetAsked | PasswordResetUsed | StrangerRefused
)

# State


class Mailbox(State[MailboxEvent]):
    """Its id is made of the address, so the address itself is not on record here."""

    user_id: UUID = NIL
    tenant: UUID = HOUSE
    reset: int = 0  # the version that asked for the one good token; 0 when there is none
    asked_at: tuple[datetime, ...] = ()  # the latest resets, at most `MOST_RESETS`

    @property
    def claimed(self) -> bool:
        return self.user_id != NIL

    def evolve(self, event: MailboxEvent) -> Self:
        match event:
            case AddressClaimed(user_id=user_id, tenant=tenant):
                return self.but(user_id=user_id, tenant=tenant)
            case AddressReleased():
                return self.but(user_id=NIL, tenant=HOUSE, reset=0)
            case PasswordResetAsked():
                asked_at = (*self.asked_at, self.changed_at or BEFORE)
                return self.but(reset=self.version, asked_at=asked_at[-MOST_RESETS:])
            case PasswordResetUsed():
                return self.but(reset=0)
            case StrangerRefused():
                return self
            case _:
                assert_never(event)

    def claim(self, user_id: UUID, tenant: UUID) -> Events:
        assert not self.claimed, "an address is claimed once"
        yield AddressClaimed(user_id, tenant)

    def release(self) -> Events:
        if self.claimed:
            yield AddressReleased()

    def ask_reset(self, now: datetime) -> Events:
        """Make a new token, which voids the one before; no more letters than anybody needs."""
        if sum(now - at < RESET_LASTS for at in self.asked_at) < MOST_RESETS:
            yield PasswordResetAsked()

    def use_reset(self, version: int, now: datetime) -> Events:
        """Spend the token of that version. Raises `Invalid` unless it is the good one."""
        late = not self.asked_at or now - self.asked_at[-1] > RESET_LASTS
        if not self.claimed or version != self.reset or late:
            raise bad_token()
        yield PasswordResetUsed()

    def turn_away(self) -> Events:
        yield StrangerRefused()


def normalised(address: str) -> str:
    """How addresses are compared: without outer space, in small letters."""
    return unicodedata.normalize("NFC", address.strip()).lower()


def mailbox_id(address: str) -> UUID:
    """The one mailbox of an address."""
    return house_named("email", normalised(address))


def reset_token(keyring: Keyring, mailbox: UUID, version: int) -> str:
    """What the letter carries: 256 bits that only we could have made."""
    text = f"{mailbox.hex}.{version}"
    return f"{text}.{keyring.seal('password-reset', text)}"


def read_reset_token(keyring: Keyring, token: str) -> tuple[UUID, int]:
    """The mailbox and the version. Raises `Invalid` when we did not make it."""
    text, _, seal = token.rpartition(".")
    if not keyring.holds("password-reset", text, seal):
        raise bad_token()
    mailbox, version = text.split(".")
    return UUID(mailbox), int(version)


def address_taken() -> Refused:
    return Refused("There is an account with this address already.", code="email_taken")


def bad_token() -> Invalid:
    return Invalid(
        "This link is not valid any more; ask for a new one.", code="reset_token_invalid"
    )
