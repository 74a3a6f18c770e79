"""Outcomes: what is kept of a command under its idempotency key."""

from datetime import datetime
from typing import Any
from uuid import UUID

from zeroinvoice.kernel.refusals import Invalid, Refused, Unavailable
from zeroinvoice.kernel.value import Value


class Outcome(Value, omit_defaults=True):
    """What is kept of a keyed command: enough to give the same answer again.

    Not the answer itself: the decision is run again on the journal as it was at `after`,
    with the same ids and the same moment, so no personal value or secret is kept twice.
    """

    after: int = 0  # position of the journal before the command
    position: int = 0  # of the command's last fact
    at: datetime | None = None
    ids: tuple[UUID, ...] = ()
    refusal: tuple[str, str, str, dict[str, Any]] | None = None  # class, message, code, details


KEPT = {"Refused": Refused, "Invalid": Invalid}  # refusals that are definite, so replayed


def away(*, stored: bool | None = None) -> Unavailable:
    """What a caller hears whose command could not be stored, or of which that is not known."""
    if stored is False:
        return Unavailable(
            "The journal cannot be reached; this request recorded nothing. Try again."
        )
    return Unavailable(
        "The journal cannot be reached; whether this was recorded is not known. "
        "Repeat it with the same Idempotency-Key.",
        code="outcome_unknown",
    )
