"""Throttles: attempts counted by their aim and their origin, and the wait they cost."""

import math
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.ids import house_named
from zeroinvoice.kernel.refusals import Throttled

Purpose = Literal["login", "registration", "password_reset", "invitation"]

LONGEST = timedelta(minutes=15)  # of one wait, so that nobody is locked out for good
FORGOTTEN = timedelta(hours=1)  # after the last attempt the count begins anew
PER_ACCOUNT = 5  # free attempts on one account from one network
PER_NETWORK = 20  # free attempts from one network, behind which many people may sit

BEFORE = datetime.min.replace(tzinfo=UTC)

# Events


class AttemptCounted(Event):
    purpose: Purpose


class AttemptsCleared(Event):
    """The right password came: what was counted for this account here is void."""


ThrottleEvent = AttemptCounted | AttemptsCleared

# State


class Throttle(State[ThrottleEvent]):
    """Lives in the house's own tenant, since nobody is known yet who attempts."""

    counted: int = 0
    last_at: datetime = BEFORE

    def evolve(self, event: ThrottleEvent) -> Self:
        match event:
            case AttemptCounted():
                at = self.changed_at or BEFORE
                anew = at - self.last_at > FORGOTTEN
                return self.but(counted=1 if anew else self.counted + 1, last_at=at)
            case AttemptsCleared():
                return self.but(counted=0)
            case _:
                assert_never(event)

    def admit(self, free: int, now: datetime) -> None:
        """Raises `Throttled` during a wait; it doubles with each attempt after the free ones."""
        over = self.counted - free
        if over < 0 or now - self.last_at > FORGOTTEN:
            return
        wait = min(timedelta(seconds=2 ** min(over, 20)), LONGEST)
        left = (self.last_at + wait - now).total_seconds()
        if left > 0:
            raise Throttled(
                "Too many attempts; wait a little before the next.",
                retry_after=math.ceil(left),
            )

    def count(self, purpose: Purpose) -> Events:
        yield AttemptCounted(purpose)

    def forgive(self) -> Events:
        if self.counted:
            yield AttemptsCleared()


def throttle_id(purpose: Purpose, network: str, account: str = "") -> UUID:
    """The one counter of attempts from a network, on all accounts or on one."""
    return house_named("throttle", purpose, network, account)


def network_of(ip: str | None, *, bits_v4: int = 32, bits_v6: int = 64) -> str:
    """The network that one customer of a provider holds: an IPv4 address, or an IPv6 /64."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return "unknown"  # such as a Unix socket
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = bits_v4 if address.version == 4 else bits_v6
    return str(ip_network((address.packed, bits), strict=False))
