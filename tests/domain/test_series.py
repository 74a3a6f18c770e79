"""Number series, R-NUM-1 to R-NUM-5."""

from datetime import date
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroinvoice.domain.series import (
    MAX_GAPS,
    Bucket,
    NumberChosen,
    Numbering,
    NumberSeries,
    NumberTaken,
    Reset,
    series_id,
)
from zeroinvoice.kernel.refusals import Invalid, Refused

INVOICE = UUID(int=7)
DAY = date(2026, 3, 9)
RULES = Numbering()


def take(
    series: NumberSeries,
    on: date = DAY,
    rules: Numbering = RULES,
    chosen: str | None = None,
    client: str = "",
) -> tuple[NumberSeries, str]:
    (event,) = series.take(INVOICE, on, rules, chosen=chosen, client=client)
    return series.evolve(event), event.number


def taken(series: NumberSeries, chosen: str, rules: Numbering = RULES) -> str:
    with pytest.raises(Refused) as refusal:
        take(series, rules=rules, chosen=chosen)
    return refusal.value.code


def test_the_first_number_of_a_year_is_one() -> None:
    """R-NUM-1: `INV-{YYYY}-{SEQ:5}`, counted by year."""
    assert list(NumberSeries().take(INVOICE, DAY, RULES)) == [
        NumberTaken("INV-2026-00001", 1, "2026", "INV-2026-{SEQ}", INVOICE, DAY)
    ]


def test_numbers_are_consecutive_within_their_bucket() -> None:
    """R-NUM-1, R-NUM-3: the bucket is the issue date's, also when it is an earlier one's."""
    series, given = NumberSeries(), []
    for on in (DAY, DAY, date(2027, 1, 1), date(2026, 12, 31), date(2027, 1, 2)):
        series, number = take(series, on)
        given.append(number)
    assert given == [
        "INV-2026-00001",
        "INV-2026-00002",
        "INV-2027-00001",
        "INV-2026-00003",
        "INV-2027-00002",
    ]


@pytest.mark.parametrize(
    ("reset", "start", "on", "bucket"),
    [
        ("never", 1, DAY, ""),
        ("yearly", 1, DAY, "2026"),
        ("monthly", 1, DAY, "2026-03"),
        ("fiscal_year", 4, DAY, "FY2025"),
        ("fiscal_year", 4, date(2026, 4, 1), "FY2026"),
        ("fiscal_year", 1, DAY, "FY2026"),
    ],
)
def test_a_counter_begins_again_as_the_rules_say(
    reset: Reset, start: int, on: date, bucket: str
) -> None:
    """R-NUM-1."""
    assert Numbering(reset=reset, fiscal_start=start).bucket(on) == bucket


def test_under_fiscal_years_the_year_is_the_one_that_began() -> None:
    """Else January and the next April would both write 2026-1."""
    rules = Numbering("{YYYY}-{SEQ}", "fiscal_year", 4)
    series, first = take(NumberSeries(), date(2026, 1, 15), rules)
    series, second = take(series, date(2026, 4, 15), rules)
    assert (first, second) == ("2025-1", "2026-1")


def test_every_token_is_written() -> None:
    """R-NUM-1."""
    rules = Numbering("{SERIES}/{CLIENT}/{YY}{MM}-{SEQ:3}.{YYYY}")
    rules.check()
    assert rules.number(12, DAY, "ACME", "R") == "R/ACME/2603-012.2026"
    assert rules.number(1234, DAY, "A", "R") == "R/A/2603-1234.2026"
    assert rules.sequence("R/A/2603-1234.2026", DAY, "A", "R") == 1234


@pytest.mark.parametrize(
    "rules",
    [
        Numbering("INV-{YYYY}"),
        Numbering("{SEQ}{SEQ}"),
        Numbering("INV-{SEQ}"),
        Numbering("INV-{YYYY}-{SEQ}", "monthly"),
        Numbering("INV-{MM}-{SEQ}", "monthly"),
        Numbering("{YYYY}-{SEQ}-{DD}"),
        Numbering("{YYYY}-{SEQ:0}"),
        Numbering("{YYYY}-{SEQ:13}"),
        Numbering("{YYYY:4}-{SEQ}"),
        Numbering("{YYYY}-{SEQ"),
        Numbering("{YYYY}-{SEQ}\n"),
        Numbering(" {YYYY}-{SEQ}"),
        Numbering("{YYYY}{CLIENT}{SEQ}"),
        Numbering("{YYYY}-{SEQ}{MM}7{CLIENT}"),
        Numbering("{YYYY}{CLIENT}-{SEQ}-{CLIENT}"),
        Numbering("{YYYY}-{SEQ}" + "x" * 60),
        Numbering("{YYYY}-{SEQ}", "fiscal_year", 13),
        Numbering("", "never"),
    ],
)
def test_a_pattern_whose_numbers_could_be_equal_is_refused(rules: Numbering) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check()
    assert refusal.value.code == "bad_number_pattern"


@pytest.mark.parametrize(
    "rules",
    [
        Numbering(),
        Numbering("{SEQ}", "never"),
        Numbering("{YY}{MM}{SEQ:4}", "monthly"),
        Numbering("{CLIENT}-{YYYY}{SEQ}"),
        Numbering("№ {SEQ}/{YYYY} {CLIENT}"),
        Numbering("CN-{YYYY}-{SEQ:12}", "fiscal_year", 12),
    ],
)
def test_a_sound_pattern_is_let_in(rules: Numbering) -> None:
    rules.check()


@pytest.mark.parametrize("client", ["", "A B", "{SEQ}", "x" * 33, "a\n"])
def test_a_number_that_shows_the_client_needs_its_code(client: str) -> None:
    with pytest.raises(Invalid) as refusal:
        take(NumberSeries(), rules=Numbering("{CLIENT}-{YYYY}-{SEQ}"), client=client)
    assert refusal.value.code == "client_code_needed"


def test_a_higher_number_chosen_by_hand_moves_the_counter_forward() -> None:
    """R-NUM-4."""
    series, _ = take(NumberSeries())
    (event,) = series.take(INVOICE, DAY, RULES, chosen="INV-2026-00050")
    assert event == NumberChosen("INV-2026-00050", 50, "2026", "INV-2026-{SEQ}", INVOICE, DAY)
    series = series.evolve(event)
    assert series.buckets == {"2026": Bucket(50, ((2, 49),))}
    assert series.upcoming(DAY, RULES) == "INV-2026-00051"


def test_a_jumped_number_can_be_chosen_later_but_only_once() -> None:
    """R-NUM-4, R-NUM-3."""
    series = NumberSeries()
    for chosen in ("INV-2026-00005", "INV-2026-00003", "INV-2026-00001"):
        series, _ = take(series, chosen=chosen)
    assert series.buckets["2026"] == Bucket(5, ((2, 2), (4, 4)))
    for used in (1, 3, 5):
        assert taken(series, f"INV-2026-0000{used}") == "number_taken"
    series, _ = take(series, chosen="INV-2026-00004")
    assert series.upcoming(DAY, RULES) == "INV-2026-00006"


@pytest.mark.parametrize(
    "chosen",
    ["INV-2026-1", "INV-2025-00002", "inv-2026-00002", "INV-2026-00000", "INV-2026-", "", "7",
     "INV-2026-0000٣", "INV-2026-9999999999999", "INV-2026-00002 ", "INV-2026--0002",
     "INV-2026-00001"],
)  # fmt: skip
def test_a_number_that_is_used_or_off_the_pattern_is_refused(chosen: str) -> None:
    """R-NUM-4: 409 `number_taken`."""
    series, _ = take(NumberSeries())
    assert taken(series, chosen) == "number_taken"


def test_what_is_remembered_of_gaps_is_bounded() -> None:
    series = NumberSeries()
    for sequence in range(2, 2 * MAX_GAPS + 20, 2):
        series, _ = take(series, chosen=f"INV-2026-{sequence:05}")
    assert len(series.buckets["2026"].gaps) == MAX_GAPS
    assert taken(series, "INV-2026-00001") == "number_taken"  # forgotten, so it counts as used


def test_an_issue_date_before_the_latest_is_refused_where_the_rules_say_so() -> None:
    """R-NUM-5."""
    strict = Numbering(chronology="refuse")
    series, _ = take(NumberSeries(), DAY, strict)
    series, _ = take(series, DAY, strict)
    with pytest.raises(Invalid, match="before 2026-03-09") as refusal:
        take(series, date(2026, 3, 8), strict)
    assert refusal.value.code == "issue_date_out_of_order"


def test_an_issue_date_before_the_latest_is_a_warning_otherwise() -> None:
    """R-NUM-5: the default."""
    series, _ = take(NumberSeries())
    assert not series.is_out_of_order(DAY)
    assert series.is_out_of_order(date(2026, 3, 8))
    series, number = take(series, date(2026, 3, 8))
    assert number == "INV-2026-00002"
    assert series.last_on == DAY


def test_a_change_of_rules_never_gives_a_number_twice() -> None:
    """R-NUM-3: one count over all years, then one a year, then one a month, and back."""
    series = NumberSeries()
    text = "{YYYY}-{MM}-{SEQ}"
    given = []
    for reset in ("never", "yearly", "monthly", "fiscal_year", "never", "monthly"):
        for on in (DAY, DAY, date(2027, 3, 9)):
            series, number = take(series, on, Numbering(text, reset))
            given.append(number)
    assert len(set(given)) == len(given)


def test_a_pattern_that_would_write_an_old_number_again_is_refused() -> None:
    """R-NUM-3: A101 was the 101st of `A{SEQ}`, and would be January's first of `A{SEQ}{MM}`."""
    series, _ = take(NumberSeries(), rules=Numbering("A{SEQ}", "never"), chosen="A101")
    series = series.but(buckets={})
    with pytest.raises(Refused, match="pattern of the series needs to be changed"):
        take(series, date(2026, 1, 1), Numbering("A{SEQ}{MM}", "never"))


def test_each_kind_of_document_and_series_has_its_own_stream() -> None:
    """R-NUM-1."""
    one, other = UUID(int=1), UUID(int=2)
    ids = {
        series_id(one, "invoice"),
        series_id(one, "invoice", "B"),
        series_id(one, "credit_note"),
        series_id(other, "invoice"),
    }
    assert len(ids) == 4
    assert series_id(one, "invoice") in ids


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(1, 30),
            st.sampled_from([DAY, date(2026, 4, 2), date(2027, 3, 9)]),
            st.sampled_from(
                [
                    Numbering("{YYYY}-{MM}-{SEQ}", "never"),
                    Numbering("{YYYY}-{MM}-{SEQ}", "monthly"),
                    Numbering("{YYYY}-{SEQ}", "yearly"),
                    Numbering("{YYYY}-{SEQ}", "fiscal_year", 4),
                    Numbering("{SEQ}-{CLIENT}", "never"),
                ]
            ),
        ),
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_no_number_is_ever_given_twice(
    steps: list[tuple[int | None, date, Numbering]],
) -> None:
    """R-NUM-3: whatever is chosen by hand, and whatever the rules become."""
    series, given_numbers = NumberSeries(), []
    for sequence, on, rules in steps:
        chosen = None if sequence is None else rules.number(sequence, on, "C-1")
        try:
            series, number = take(series, on, rules, chosen, "C-1")
        except Refused:
            assert chosen is not None
        else:
            given_numbers.append(number)
    assert len(set(given_numbers)) == len(given_numbers)


def test_a_series_without_choices_is_gapless() -> None:
    """R-NUM-3, T15 in small: two hundred issues, two hundred consecutive numbers."""
    series = NumberSeries()
    for expected in range(1, 201):
        series, number = take(series)
        assert number == f"INV-2026-{expected:05}"
    assert series.buckets == {"2026": Bucket(200)}


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([DAY, date(2027, 1, 2), date(2025, 12, 31)]),
            st.sampled_from([RULES, Numbering("N{SEQ}", "never"), Numbering("INV-{YYYY}-{SEQ}")]),
            st.integers(0, 12),
        ),
        max_size=20,
    )
)
def test_what_a_series_gives_follows_and_nothing_given_twice_does(
    asked: list[tuple[date, Numbering, int]],
) -> None:
    """A25-7: so a report never doubts a good number, whatever was chosen or set in between."""
    series = NumberSeries()
    for on, rules, sequence in asked:
        chosen = rules.number(sequence, on) if sequence else None
        try:
            (event,) = series.take(INVOICE, on, rules, chosen=chosen)
        except Refused:
            continue
        assert series.follows(event)
        series = series.evolve(event)
        assert not series.follows(event)
        if isinstance(event, NumberTaken):
            skipped = event.sequence + 2
            assert not series.follows(msgspec.structs.replace(event, sequence=skipped))
