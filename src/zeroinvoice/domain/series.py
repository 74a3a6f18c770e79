"""Number series: the numbers of one kind of document, given at issue and never twice."""

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Literal, NoReturn, Self, assert_never
from uuid import UUID

import msgspec

from zeroinvoice.kernel.facts import Event, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

Reset = Literal["never", "yearly", "monthly", "fiscal_year"]
Chronology = Literal["warn", "refuse"]

MAX_SEQUENCE = 10**12 - 1
MAX_GAPS = 256  # remembered for each bucket
MAX_PATTERN = 64  # characters

_TOKEN = re.compile(r"\{(YYYY|YY|MM|CLIENT|SERIES|SEQ)(?::([1-9]|1[0-2]))?\}")
_CODE = re.compile(r"[^\s{}]{1,32}")  # of a client or a series, within a number


def series_id(tenant: UUID, document_kind: str, code: str = "") -> UUID:
    """The stream of a series; a tenant has one for each kind of document and series code."""
    return named(tenant, "number-series", document_kind, code)


# Events


class NumberTaken(Event):
    """A document was issued and got the next number of its series."""

    number: str
    sequence: int
    bucket: str  # what is counted within: "", "2026", "2026-03" or "FY2026"
    form: str  # the number without its sequence and its client, "INV-2026-{SEQ}"
    document: UUID
    issued_on: date


class NumberChosen(Event):
    """A document was issued under a number that somebody chose by hand."""

    number: str
    sequence: int
    bucket: str
    form: str
    document: UUID
    issued_on: date


NumberEvent = NumberTaken | NumberChosen


class Numbering(Value, omit_defaults=True):
    """How a series writes its numbers, and when it begins again at 1.

    The pattern is text with `{SEQ}` once (`{SEQ:5}` pads to five digits) and any of
    `{YYYY} {YY} {MM} {CLIENT} {SERIES}`. Years and months are those of the issue date; under
    `fiscal_year` the year is the one in which the fiscal year began.
    """

    pattern: str = "INV-{YYYY}-{SEQ:5}"
    reset: Reset = "yearly"
    fiscal_start: int = 1  # month, 1 to 12
    chronology: Chronology = "warn"  # what an issue date before the series' latest meets

    def check(self) -> None:
        """Raises `Invalid` (`bad_number_pattern`) where two numbers could ever be equal."""
        head, _, tail = _pattern(self.pattern)
        names = {it[1] for it in _TOKEN.finditer(head + tail)}
        if not 1 <= self.fiscal_start <= 12:
            _bad_pattern("The fiscal year begins in a month from 1 to 12.")
        if self.reset != "never" and not names & {"YYYY", "YY"}:
            _bad_pattern("A series that begins again needs {YYYY} or {YY} in its pattern.")
        if self.reset == "monthly" and "MM" not in names:
            _bad_pattern("A series that begins again every month needs {MM} in its pattern.")

    def bucket(self, issued_on: date) -> str:
        """What the counter counts within: it begins at 1 in each bucket."""
        match self.reset:
            case "never":
                return ""
            case "yearly":
                return f"{issued_on.year:04}"
            case "monthly":
                return f"{issued_on.year:04}-{issued_on.month:02}"
            case "fiscal_year":
                return f"FY{self.year(issued_on):04}"
            case _:
                assert_never(self.reset)

    def year(self, issued_on: date) -> int:
        """The year that `{YYYY}` stands for."""
        if self.reset == "fiscal_year" and issued_on.month < self.fiscal_start:
            return issued_on.year - 1
        return issued_on.year

    def number(self, sequence: int, issued_on: date, client: str = "", series: str = "") -> str:
        """The number with this sequence.

        Raises `Invalid` where the pattern shows a code that the client or series lacks.
        """
        head, width, tail = self._around(issued_on, client, series)
        return f"{head}{sequence:0{width}}{tail}"

    def sequence(self, number: str, issued_on: date, client: str = "", series: str = "") -> int:
        """The sequence of which this is the number; 0 when the pattern does not write it so."""
        head, width, tail = self._around(issued_on, client, series)
        digits = number[len(head) : len(number) - len(tail)]
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 12):
            return 0
        sequence = int(digits)
        return sequence if f"{head}{sequence:0{width}}{tail}" == number else 0

    def form(self, issued_on: date, series: str = "") -> str:
        head, _, tail = self._around(issued_on, "{CLIENT}", series)
        return f"{head}{{SEQ}}{tail}"

    def _around(self, issued_on: date, client: str, series: str) -> tuple[str, int, str]:
        head, width, tail = _pattern(self.pattern)
        year = self.year(issued_on)
        shown = {
            "YYYY": f"{year:04}",
            "YY": f"{year % 100:02}",
            "MM": f"{issued_on.month:02}",
            "CLIENT": client,
            "SERIES": series,
        }

        def fill(token: re.Match[str]) -> str:
            value = shown[token[1]]
            if value != "{CLIENT}" and not _CODE.fullmatch(value):
                raise Invalid(
                    f"The number shows the code of the {token[1].lower()}, which needs to have "
                    "1 to 32 characters, none of them a space or a brace.",
                    code=f"{token[1].lower()}_code_needed",
                )
            return value

        return _TOKEN.sub(fill, head), width, _TOKEN.sub(fill, tail)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> tuple[str, int, str]:
    """What stands before the sequence, its width, and what stands after it."""
    if not (len(text) <= MAX_PATTERN and text.isprintable() and text == text.strip()):
        _bad_pattern(f"A pattern has at most {MAX_PATTERN} printable characters.")
    found = list(_TOKEN.finditer(text))
    names = [it[1] for it in found]
    literal = _TOKEN.sub("", text)
    if "{" in literal or "}" in literal or any(it[2] and it[1] != "SEQ" for it in found):
        _bad_pattern("A pattern knows {YYYY} {YY} {MM} {SEQ} {SEQ:5} {CLIENT} {SERIES}.")
    if names.count("SEQ") != 1 or names.count("CLIENT") > 1:
        _bad_pattern("A pattern needs {SEQ} once, and may have {CLIENT} once.")
    at = found[names.index("SEQ")]
    head, tail = text[: at.start()], text[at.end() :]
    # Client A1 with 2 and client A with 12 must not both be A12; nor may two series.
    for code in ("{CLIENT}", "{SERIES}"):
        between = [it.rpartition(code)[2] for it in (head,) if code in it]
        between += [it.partition(code)[0] for it in (tail,) if code in it]
        if not all(re.search(r"[^0-9]", _TOKEN.sub("", it)) for it in between):
            _bad_pattern(f"Something other than digits must part {code} from {{SEQ}}.")
    return head, int(at[2] or 1), tail


def _bad_pattern(message: str) -> NoReturn:
    raise Invalid(message, code="bad_number_pattern")


# State


class Bucket(Value):
    counter: int = 0  # the highest sequence given in it
    gaps: tuple[tuple[int, int], ...] = ()  # first and last of what choosing jumped over


class Form(Value):
    highest: int = 0  # the highest sequence written in it
    bucket: str | None = None  # the one whose numbers it wrote; None if there were several


class NumberSeries(State[NumberEvent]):
    """The numbers given so far, in a few counters however many they are.

    The automatic number is one above the counter, so below it everything is used but what a
    number chosen by hand jumped over. Those gaps are kept as ranges: each choice adds or
    splits at most one, and of more than `MAX_GAPS` the lowest is forgotten, which only
    makes its numbers count as used. When the settings change, two buckets may come to write
    in the same form: then counting goes on above its highest, and its gaps count as used.
    """

    buckets: dict[str, Bucket] = msgspec.field(default_factory=dict)
    forms: dict[str, Form] = msgspec.field(default_factory=dict)
    last_on: date | None = None  # the latest issue date

    def evolve(self, event: NumberEvent) -> Self:
        bucket = self.buckets.get(event.bucket, Bucket())
        form = self.forms.get(event.form, Form(bucket=event.bucket))
        top = max(bucket.counter, form.highest)
        match event:
            case NumberTaken(sequence=sequence):
                bucket = Bucket(max(sequence, bucket.counter), bucket.gaps)
            case NumberChosen(sequence=sequence) if sequence > top:
                gaps = bucket.gaps
                if sequence > top + 1:
                    gaps = (*gaps, (top + 1, sequence - 1))[-MAX_GAPS:]
                bucket = Bucket(sequence, gaps)
            case NumberChosen(sequence=sequence):
                bucket = Bucket(bucket.counter, _without(bucket.gaps, sequence))
            case _:
                assert_never(event)
        form = Form(
            max(event.sequence, form.highest), event.bucket if form.bucket == event.bucket else None
        )
        return self.but(
            buckets={**self.buckets, event.bucket: bucket},
            forms={**self.forms, event.form: form},
            last_on=max(event.issued_on, self.last_on or event.issued_on),
        )

    def take(
        self,
        document: UUID,
        issued_on: date,
        rules: Numbering,
        *,
        chosen: str | None = None,
        client: str = "",
        series: str = "",
    ) -> Iterator[NumberEvent]:
        """Give a document its number: the next, or the chosen one if that is still free.

        `client` and `series` are the codes the pattern may show. Raises `Refused`
        (`number_taken`), and `Invalid` (`issue_date_out_of_order`) where the rules say so.
        """
        if rules.chronology == "refuse" and self.is_out_of_order(issued_on):
            raise Invalid(
                f"The issue date {issued_on} is before {self.last_on}, the latest of its series.",
                code="issue_date_out_of_order",
                last_issue_date=str(self.last_on),
            )
        bucket, form = rules.bucket(issued_on), rules.form(issued_on, series)
        if chosen is None:
            sequence = self._top(bucket, form) + 1
            number = rules.number(sequence, issued_on, client, series)
            if sequence > MAX_SEQUENCE or self._is_written_elsewhere(number, form):
                _taken(number, "The pattern of the series needs to be changed.")
            yield NumberTaken(number, sequence, bucket, form, document, issued_on)
        else:
            sequence = rules.sequence(chosen, issued_on, client, series)
            if not sequence:
                _taken(chosen, f"It is not written as {rules.pattern} for {issued_on}.")
            if not self._is_free(sequence, bucket, form) or self._is_written_elsewhere(
                chosen, form
            ):
                _taken(chosen, "It was given before.")
            yield NumberChosen(chosen, sequence, bucket, form, document, issued_on)

    def follows(self, event: NumberEvent) -> bool:
        """Whether this could come next: nothing skipped but by hand, and nothing given twice."""
        if isinstance(event, NumberTaken):
            return event.sequence == self._top(event.bucket, event.form) + 1
        return self._is_free(event.sequence, event.bucket, event.form)

    def upcoming(
        self, issued_on: date, rules: Numbering, *, client: str = "", series: str = ""
    ) -> str:
        """The number that the next document will get if nothing comes between."""
        top = self._top(rules.bucket(issued_on), rules.form(issued_on, series))
        return rules.number(top + 1, issued_on, client, series)

    def is_out_of_order(self, issued_on: date) -> bool:
        """Whether a number given on this date breaks the order of time; a warning's cause."""
        return self.last_on is not None and issued_on < self.last_on

    def _top(self, bucket: str, form: str) -> int:
        highest = self.forms.get(form, Form()).highest
        return max(self.buckets.get(bucket, Bucket()).counter, highest)

    def _is_free(self, sequence: int, bucket: str, form: str) -> bool:
        if sequence > self._top(bucket, form):
            return True
        if self.forms.get(form, Form(bucket=bucket)).bucket != bucket:
            return False
        gaps = self.buckets.get(bucket, Bucket()).gaps
        return any(first <= sequence <= last for first, last in gaps)

    def _is_written_elsewhere(self, number: str, form: str) -> bool:
        """Whether an earlier pattern wrote this very text, or may have."""
        for other, kept in self.forms.items():
            if other != form and number.startswith(other[: other.index("{")]):
                written = _reader(other).fullmatch(number)
                if written and int(written[1]) <= kept.highest:
                    return True
        return False


def _without(gaps: tuple[tuple[int, int], ...], sequence: int) -> tuple[tuple[int, int], ...]:
    kept: list[tuple[int, int]] = []
    for first, last in gaps:
        if first <= sequence <= last:
            kept += [it for it in ((first, sequence - 1), (sequence + 1, last)) if it[0] <= it[1]]
        else:
            kept.append((first, last))
    return tuple(kept[-MAX_GAPS:])


@lru_cache(maxsize=1024)
def _reader(form: str) -> re.Pattern[str]:
    """What reads the sequence back out of a number of this form."""
    text = re.escape(form)
    text = text.replace(re.escape("{SEQ}"), "([0-9]{1,12})").replace(re.escape("{CLIENT}"), ".+")
    return re.compile(text)


def _taken(number: str, why: str) -> NoReturn:
    raise Refused(
        f"The number {number[:80]} cannot be given. {why}", code="number_taken", number=number[:80]
    )
