"""Bank numbers: sound ones are read, others refused without being repeated."""

from typing import Any

import pytest

from zeroinvoice.domain.bank_numbers import BankNumber, Masked, NumberWritten, check_bic, read
from zeroinvoice.kernel.refusals import Invalid


def us(account: str, routing: str) -> dict[str, str]:
    return {"account_number": account, "routing_number": routing}


SOUND = [
    ("iban", {"iban": "de89 3704 0044 0532 0130 00"}, "DE89370400440532013000", "", "DE"),
    ("iban", {"iban": "GB82WEST12345698765432"}, "GB82WEST12345698765432", "", "GB"),
    ("us_ach", {"account_number": "0001-2345-67", "routing_number": "021000021"},
     "0001234567", "021000021", "US"),
    ("uk", {"account_number": "31926819", "sort_code": "60-16-13"}, "31926819", "601613", "GB"),
    ("au_bsb", {"account_number": "12345678", "bsb": "062-000"}, "12345678", "062000", "AU"),
    ("other", {"account_number": "ab 1234567"}, "AB1234567", "", None),
]  # fmt: skip


@pytest.mark.parametrize(("type", "given", "account", "branch", "country"), SOUND)
def test_a_sound_number_is_read(
    type: Any, given: dict[str, str], account: str, branch: str, country: str | None
) -> None:
    """A6-2: blanks and dashes are how people write, not what is kept."""
    number = read(type, NumberWritten(**given))
    assert number == BankNumber(type, account, branch)
    assert number.country == country


@pytest.mark.parametrize(
    ("type", "given", "code"),
    [
        ("iban", {"iban": "DE89370400440532013001"}, "bad_iban"),  # the checksum
        ("iban", {"iban": "DE8937040044053201300"}, "bad_iban"),  # the length
        ("iban", {"iban": "XX89370400440532013000"}, "bad_iban"),
        ("iban", {"iban": "DE8٩370400440532013000"}, "bad_iban"),
        ("us_ach", us("1234567", "021000022"), "bad_routing_number"),
        ("us_ach", us("1234567", "000000000"), "bad_routing_number"),
        ("us_ach", us("1234567", "02100002"), "bad_routing_number"),
        ("us_ach", us("12A4567", "021000021"), "bad_account_number"),
        ("uk", {"account_number": "31926819", "sort_code": "60-16-1"}, "bad_sort_code"),
        ("uk", {"account_number": "319268190", "sort_code": "601613"}, "bad_account_number"),
        ("au_bsb", {"account_number": "12345678", "bsb": "0620000"}, "bad_bsb"),
        ("other", {"account_number": "abc"}, "bad_account_number"),
        ("iban", {"account_number": "12345678"}, "number_parts"),
        ("iban", {}, "number_parts"),
        ("uk", {"account_number": "31926819"}, "number_parts"),
        ("uk", {"account_number": "31926819", "sort_code": "601613", "bsb": "062000"},
         "number_parts"),
        ("other", {"account_number": " "}, "number_parts"),
    ],
)  # fmt: skip
def test_an_unsound_number_is_refused_and_not_repeated(
    type: Any, given: dict[str, str], code: str
) -> None:
    """A6-2 and T32."""
    with pytest.raises(Invalid) as no:
        read(type, NumberWritten(**given))
    assert no.value.code == code
    told = f"{no.value.message} {no.value.details}"
    assert not any(part.strip() in told for part in given.values() if part.strip())
    assert no.value.__cause__ is None


@pytest.mark.parametrize(
    ("number", "masked", "last4"),
    [
        (BankNumber("iban", "DE89370400440532013000"), Masked(iban="DE** **** **** 3000"), "3000"),
        (
            BankNumber("us_ach", "0001234567", "021000021"),
            Masked(account_number="**** 4567", routing_number="*******21"),
            "4567",
        ),
        (
            BankNumber("uk", "31926819", "601613"),
            Masked(account_number="**** 6819", sort_code="****13"),
            "6819",
        ),
        (
            BankNumber("au_bsb", "12345", "062000"),
            Masked(account_number="**** 45", bsb="****00"),
            "45",
        ),
        (BankNumber("other", "AB12"), Masked(account_number="**** 12"), "12"),
    ],
)
def test_what_is_shown_of_a_number(number: BankNumber, masked: Masked, last4: str) -> None:
    """A6-4: of a short number less than half would be left to guess, so less is shown."""
    assert (number.masked, number.last4) == (masked, last4)


def test_a_number_in_clear_is_not_printed() -> None:
    """T32: whatever prints a value by accident prints no number."""
    number = BankNumber("uk", "31926819", "601613")
    written = NumberWritten(account_number="31926819", sort_code="601613")
    for shown in (repr(number), str(number), f"{number}", repr(written), f"{written}"):
        assert "31926819" not in shown
        assert "601613" not in shown


def test_numbers_that_look_alike_in_other_fields_are_different() -> None:
    assert BankNumber("uk", "11111122", "222222").text != BankNumber("uk", "1111112", "222222").text


@pytest.mark.parametrize(
    ("given", "bic"), [("cobadeff", "COBADEFF"), ("COBA DE FF XXX", "COBADEFFXXX")]
)
def test_a_bic_is_kept_in_its_plain_form(given: str, bic: str) -> None:
    """A6-2."""
    assert check_bic(given) == bic


@pytest.mark.parametrize("given", ["COBADE", "COBAZZFF", "COBADEFF12", "COB!DEFF", ""])
def test_what_has_not_the_shape_of_a_bic_is_refused(given: str) -> None:
    """A6-2."""
    with pytest.raises(Invalid) as no:
        check_bic(given)
    assert no.value.code == "bad_bic"
