"""Payment terms: when a document falls due, and what paying early is worth."""

import re
from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, assert_never

from zeroinvoice.kernel.money import exact
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

MAX_DAYS = 999

TermsKind = Literal["due_on_receipt", "net", "eom", "day_of_following_month"]


class Terms(Value, omit_defaults=True):
    """When payment is due, counted from the issue date.

    `net` is `days` later; `eom` is the end of that month and `days` more;
    `day_of_following_month` is `day`, or the last of a shorter month. With `net`, paying
    within `discount_days` may be worth `discount_rate`.
    """

    kind: TermsKind = "due_on_receipt"
    days: int = 0
    day: int = 0  # 1 to 31
    discount_rate: Decimal | None = None  # percent
    discount_days: int = 0

    def __str__(self) -> str:
        """The text that `parse` reads as these terms."""
        match self.kind:
            case "due_on_receipt":
                return "due_on_receipt"
            case "net" if self.discount_rate is not None:
                return f"{self.discount_rate:f}% {self.discount_days} net {self.days}"
            case "net":
                return f"net {self.days}"
            case "eom":
                return f"eom + {self.days}" if self.days else "eom"
            case "day_of_following_month":
                return f"day {self.day} of following month"
            case _:
                assert_never(self.kind)


_DUE_ON_RECEIPT = re.compile(r"due on receipt|immediate")
_NET = re.compile(r"net ?(\d{1,3})(?: days)?", re.ASCII)
_EOM = re.compile(r"eom(?: ?\+ ?(\d{1,3})(?: days)?)?", re.ASCII)
_FOLLOWING = re.compile(r"day (\d{1,2}) of (?:the )?following month", re.ASCII)
_EARLY = re.compile(
    r"(\d{1,3}(?:\.\d{1,4})?) ?(?:%|/) ?(\d{1,3})(?: days)?,? net ?(\d{1,3})(?: days)?", re.ASCII
)


def parse(given: "str | int | Terms") -> Terms:
    """Terms from what a person or a program writes; a bare number N is `net N`.

    Text is read without regard to case, and `_` as a space: `due_on_receipt`, `Net 30`, `eom`,
    `eom + 10`, `day 15 of following month`, `2% 10 net 30`. Raises `Invalid`
    (`unknown_terms`).
    """
    if isinstance(given, Terms):
        return _checked(given, str(given))
    if isinstance(given, int):
        return _checked(Terms("net", days=given), str(given))
    text = " ".join(given.lower().replace("_", " ").split()) if len(given) <= 100 else ""
    if _DUE_ON_RECEIPT.fullmatch(text):
        return Terms()
    if found := _NET.fullmatch(text):
        return _checked(Terms("net", days=int(found[1])), given)
    if found := _EOM.fullmatch(text):
        return _checked(Terms("eom", days=int(found[1] or 0)), given)
    if found := _FOLLOWING.fullmatch(text):
        return _checked(Terms("day_of_following_month", day=int(found[1])), given)
    if found := _EARLY.fullmatch(text):
        early = Terms(
            "net", int(found[3]), discount_rate=exact(found[1]), discount_days=int(found[2])
        )
        return _checked(early, given)
    raise _unknown(given)


def due_date(terms: Terms, issued_on: date) -> date:
    """The day payment is due; never before the issue date."""
    match terms.kind:
        case "due_on_receipt":
            return issued_on
        case "net":
            return issued_on + timedelta(days=terms.days)
        case "eom":
            return _day_of(issued_on.year, issued_on.month, 31) + timedelta(days=terms.days)
        case "day_of_following_month":
            year, month = divmod(issued_on.year * 12 + issued_on.month, 12)
            return _day_of(year, month + 1, terms.day)
        case _:
            assert_never(terms.kind)


def discount_until(terms: Terms, issued_on: date) -> date | None:
    """The last day on which the early-payment discount is earned, if there is one."""
    if terms.discount_rate is None:
        return None
    return issued_on + timedelta(days=terms.discount_days)


def _day_of(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _checked(terms: Terms, given: str) -> Terms:
    rate = terms.discount_rate
    on_day = terms.kind == "day_of_following_month"
    dated = 1 <= terms.day <= 31 if on_day else terms.day == 0
    counted = 0 <= terms.days <= (MAX_DAYS if terms.kind in ("net", "eom") else 0)
    early = terms.discount_days == 0
    if rate is not None:
        early = terms.kind == "net" and 0 < rate <= 100 and 0 <= terms.discount_days <= terms.days
    if dated and counted and early:
        return terms
    raise _unknown(given)


def _unknown(given: str) -> Invalid:
    return Invalid(
        f"The payment terms {given[:40]!r} are not known. Known are: due_on_receipt, net 30, eom, "
        "eom + 10, day 15 of following month, 2% 10 net 30.",
        code="unknown_terms",
    )
