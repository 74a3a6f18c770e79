"""Questions about invoices in plain words: amounts, statuses and months are read out of them."""

import calendar
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from zeroinvoice.kernel.value import Value

UNPAID = ("sent", "overdue")
STATUSES: dict[str, tuple[str, ...]] = {
    "draft": ("draft",),
    "drafts": ("draft",),
    "sent": ("sent",),
    "overdue": ("overdue",),
    "late": ("overdue",),
    "unpaid": UNPAID,
    "outstanding": UNPAID,
    "open": UNPAID,
    "paid": ("paid",),
    "cancelled": ("cancelled",),
    "canceled": ("cancelled",),
    "written off": ("written_off",),
    "written-off": ("written_off",),
}
MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
FILLERS = frozenset(
    {"invoice", "invoices", "for", "from", "in", "of", "the", "with", "to", "by", "and", "all",
     "that", "are", "is", "my"}
)  # fmt: skip

_number = r"[€£$]?\s?(\d[\d.,]{0,20})(?:\s?((?-i:[A-Z]{3}))\b)?\s?([€£$])?"
_compared = re.compile(
    r"(?<!\w)(over|above|more than|greater than|exceeding|at least|>=|>"
    r"|under|below|less than|at most|up to|<=|<)\s*" + _number,
    re.IGNORECASE,
)
_between = re.compile(
    r"\bbetween\s+" + r"[€£$]?\s?(\d[\d.,]{0,20})\s*(?:and|to|-)\s*"
    + _number,
    re.IGNORECASE,
)  # fmt: skip
_status = re.compile(
    r"\b(" + "|".join(sorted(STATUSES, key=len, reverse=True)) + r")\b", re.IGNORECASE
)
_month = re.compile(
    r"\b(?:(in|from|of|during|for)\s+)?(" + "|".join(MONTHS) + r")\b(?:\s+(20\d\d|19\d\d)\b)?",
    re.IGNORECASE,
)
_year = re.compile(r"\b(?:in|from|of|during|for)\s+(20\d\d|19\d\d)\b", re.IGNORECASE)
_relative = re.compile(r"\b(this|last)\s+(month|year)\b", re.IGNORECASE)

_OPERATORS = {
    "over": "amount_gt", "above": "amount_gt", "more than": "amount_gt", ">": "amount_gt",
    "greater than": "amount_gt", "exceeding": "amount_gt", "at least": "amount_gte",
    ">=": "amount_gte", "under": "amount_lt", "below": "amount_lt", "less than": "amount_lt",
    "<": "amount_lt", "at most": "amount_lte", "up to": "amount_lte", "<=": "amount_lte",
}  # fmt: skip


class Understood(Value, omit_defaults=True):
    """What was read out of a question; `text` is what is left of it to look for."""

    status: tuple[str, ...] = ()
    amount_gt: Decimal | None = None  # of the total, in whatever currency unless one is named
    amount_gte: Decimal | None = None
    amount_lt: Decimal | None = None
    amount_lte: Decimal | None = None
    currency: str | None = None  # ISO 4217
    issued_from: date | None = None
    issued_to: date | None = None  # the last day, included
    text: str = ""

    @property
    def filters(self) -> bool:
        """Whether anything but text was understood."""
        return self.but(text="") != Understood()


def understood(question: str, today: date) -> Understood:
    """Read a question. A month without a year is the latest one that has begun."""
    reading = _Reading(question, today)
    reading.take(_between, reading.between)
    reading.take(_compared, reading.compared)
    reading.take(_month, reading.month)
    reading.take(_year, reading.year)
    reading.take(_relative, reading.relative)
    reading.take(_status, reading.status)
    return reading.done()


class _Reading:
    def __init__(self, question: str, today: date) -> None:
        self._left = " ".join(question.split())
        self._today = today
        self._it = Understood()

    def take(self, pattern: re.Pattern[str], read: Callable[[re.Match[str]], bool]) -> None:
        """Read what the pattern finds, and cut out what could be read."""
        self._left = pattern.sub(lambda m: " " if read(m) else m[0], self._left)

    def done(self) -> Understood:
        words = self._left.split()
        if self._it.filters:
            words = [word for word in words if word.lower().strip(",.?!") not in FILLERS]
        return self._it.but(text=" ".join(words))

    def between(self, found: re.Match[str]) -> bool:
        least, most = amount(found[1]), amount(found[2])
        if least is None or most is None:
            return False
        self._it = self._it.but(amount_gte=min(least, most), amount_lte=max(least, most))
        self._currency(found[3], found[4])
        return True

    def compared(self, found: re.Match[str]) -> bool:
        value = amount(found[2])
        if value is None:
            return False
        self._it = self._it.but(**{_OPERATORS[found[1].lower()]: value})
        self._currency(found[3], found[4])
        return True

    def _currency(self, code: str | None, symbol: str | None) -> None:
        code = code or {"€": "EUR", "£": "GBP"}.get(symbol or "")  # many currencies are called $
        if code:
            self._it = self._it.but(currency=code)

    def month(self, found: re.Match[str]) -> bool:
        name, year = found[2].lower(), found[3]
        if name in ("may", "march") and not (found[1] or year):
            return False  # the words, more likely
        month = MONTHS[name]
        chosen = int(year) if year else self._today.year - (month > self._today.month)
        return self._issued(date(chosen, month, 1), _last_day(chosen, month))

    def year(self, found: re.Match[str]) -> bool:
        return self._issued(date(int(found[1]), 1, 1), date(int(found[1]), 12, 31))

    def relative(self, found: re.Match[str]) -> bool:
        this, year, month = found[1].lower() == "this", self._today.year, self._today.month
        if found[2].lower() == "year":
            year -= not this
            return self._issued(date(year, 1, 1), date(year, 12, 31))
        if not this:
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
        return self._issued(date(year, month, 1), _last_day(year, month))

    def _issued(self, first: date, last: date) -> bool:
        self._it = self._it.but(issued_from=first, issued_to=last)
        return True

    def status(self, found: re.Match[str]) -> bool:
        known = self._it.status
        more = STATUSES[found[1].lower()]
        self._it = self._it.but(status=(*known, *(it for it in more if it not in known)))
        return True


def amount(text: str) -> Decimal | None:
    """The amount that `1500`, `1,500.00` or `1.500,00` says; None for what is none."""
    text = text.rstrip(".,")
    for thousands, point in ((",", "."), (".", ",")):
        grouped = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+(?:{re.escape(point)}\d{{1,6}})?"
        if re.fullmatch(grouped, text):
            return Decimal(text.replace(thousands, "").replace(point, "."))
    if re.fullmatch(r"\d{1,15}(?:[.,]\d{1,6})?", text):
        return Decimal(text.replace(",", "."))
    return None


def _last_day(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
