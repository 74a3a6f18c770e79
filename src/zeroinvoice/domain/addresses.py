"""Addresses: postal ones as EN 16931 has them, e-mail, and the countries of ISO 3166-1."""

import re

from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

LONGEST_BLOCK = 1_000  # characters of an address as it was typed
LONGEST_PART = 255  # characters
MOST_LINES = 5

# ISO 3166-1 alpha-2, the officially assigned codes
_COUNTRIES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM
    ZW
"""
COUNTRIES = frozenset(_COUNTRIES.split())
CITY_FIRST = frozenset(  # "City, Region Postcode"
    {"AU", "CA", "GB", "IE", "IN", "JP", "NZ", "PR", "US", "ZA"}
)

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}")


class Address(Value, omit_defaults=True):
    """A postal address as EN 16931 has it (BG-5, BG-8); `text` is the block as it was typed."""

    text: str | None = None
    address_lines: tuple[str, ...] = ()
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None  # ISO 3166-1 alpha-2

    @property
    def block(self) -> str | None:
        """What is printed: the block as it was typed, else one made of the parts."""
        if self.text is not None:
            return self.text
        if self.country in CITY_FIRST:
            region = " ".join(it for it in (self.region, self.postal_code) if it)
            place = [", ".join(it for it in (self.city, region) if it)]
        else:
            city = " ".join(it for it in (self.postal_code, self.city) if it)
            place = [city, self.region or ""]
        lines = [*self.address_lines, *place, self.country or ""]
        return "\n".join(line for line in lines if line) or None

    def tidied(self) -> "Address":
        """The same without blanks; a block that only says what the parts say is not kept."""
        tidy = Address(
            text_or_none(self.text),
            tuple(line for line in self.address_lines if line.strip()),
            text_or_none(self.city),
            text_or_none(self.region),
            text_or_none(self.postal_code),
            self.country.upper() if self.country else None,
        )
        return tidy.but(text=None) if tidy.text == tidy.but(text=None).block else tidy

    def redacted(self) -> "Address":
        """The country alone, on which taxes depend."""
        return Address(country=self.country)

    def check(self) -> None:
        """Raises `Invalid` for an unknown country, or a part no envelope has room for."""
        if self.country is not None and self.country not in COUNTRIES:
            raise Invalid(
                f"{self.country[:20]!r} is not a country code of ISO 3166-1, such as DE.",
                code="unknown_country",
            )
        if len(self.text or "") > LONGEST_BLOCK or len(self.address_lines) > MOST_LINES:
            raise Invalid(
                f"An address has at most {LONGEST_BLOCK} characters, and {MOST_LINES} lines "
                "besides its city.",
                code="address_too_long",
            )
        for part in (*self.address_lines, self.city, self.region, self.postal_code):
            if part is not None and len(part) > LONGEST_PART:
                raise Invalid(
                    f"A part of an address has at most {LONGEST_PART} characters.",
                    code="address_too_long",
                )


class AddressWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """An address as a request gives it by its parts; a mere string is its `text`."""

    text: str | None = None
    address_lines: tuple[str, ...] | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None  # ISO 3166-1 alpha-2


def rewritten(before: Address, given: str | AddressWritten | None) -> Address:
    """The address that a request puts in the place of another one; null is none."""
    if given is None:
        return Address()
    if isinstance(given, str):
        return before if given == before.block else Address(given).tidied()
    return Address(
        given.text,
        given.address_lines or (),
        given.city,
        given.region,
        given.postal_code,
        given.country,
    ).tidied()


def text_or_none(text: str | None) -> str | None:
    """A text as it was given; one of nothing but blanks is none."""
    return text if text and text.strip() else None


def plausible_email(address: str) -> bool:
    """Whether mail could be sent there (RFC 5321 lengths; the rest only a server can tell)."""
    local, at, domain = address.rpartition("@")
    return (
        bool(at and local and domain)
        and len(address) <= 254
        and "." in domain.strip(".")
        and not any(c.isspace() or c in '<>()[]\\,;:"' for c in address)
        and "@" not in local
    )


def check_email(address: str) -> None:
    if not plausible_email(address):
        raise Invalid("This is not an e-mail address.", code="bad_email")


def check_language(tag: str) -> None:
    """Raises `Invalid` for what is not the shape of a language tag (BCP 47)."""
    if _LANGUAGE.fullmatch(tag) is None:
        raise Invalid(
            f"{tag[:40]!r} is not a language tag of BCP 47, such as en-GB.", code="bad_language"
        )


def check_length(name: str, text: str | None, longest: int) -> None:
    """Raises `Invalid` for a text that is longer than its place."""
    if text is not None and len(text) > longest:
        raise Invalid(f"{name} has at most {longest} characters.", code="text_too_long", field=name)
