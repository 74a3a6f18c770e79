"""Bank numbers: checked by the rules of their kind, and what of them may be shown."""

import re
from typing import Literal
from uuid import UUID

from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException

from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

AccountType = Literal["iban", "us_ach", "uk", "au_bsb", "other"]

COUNTRY = {"us_ach": "US", "uk": "GB", "au_bsb": "AU"}
BRANCH = {"us_ach": "routing_number", "uk": "sort_code", "au_bsb": "bsb"}
ACCOUNT = {  # an account's own number, without blanks and dashes
    "us_ach": re.compile("[0-9]{4,17}"),
    "uk": re.compile("[0-9]{6,8}"),
    "au_bsb": re.compile("[0-9]{5,9}"),
    "other": re.compile("[0-9A-Z]{4,34}"),
}
ABA_WEIGHTS = (3, 7, 1, 3, 7, 1, 3, 7, 1)  # of a routing number's digits; the sum ends in 0
LONG = 8  # characters from which four may be shown; of a shorter number two


class NumberWritten(Value, kw_only=True):
    """A number as a user writes it, in the fields of its kind."""

    iban: str | None = None
    account_number: str | None = None
    routing_number: str | None = None  # nine digits, as the ABA gives them
    sort_code: str | None = None
    bsb: str | None = None

    def __repr__(self) -> str:
        return "NumberWritten(…)"


class Masked(Value, omit_defaults=True):
    """A number as it may be shown, in the fields of its kind."""

    iban: str | None = None
    account_number: str | None = None
    routing_number: str | None = None
    sort_code: str | None = None
    bsb: str | None = None


class KeptNumber(Value):
    """What is on record of a number: it is read only with a key that is not on record."""

    type: AccountType
    masked: Masked
    last4: str  # of a short number only its last two characters
    country: str | None
    fingerprint: str  # HMAC-SHA-256 under the workspace's key: equal for equal numbers
    sealed: str  # AES-256-GCM in base64, bound to workspace, client and account
    sealed_by: UUID  # the key, in the vault
    sealed_for: UUID  # the client it was sealed for; the same wherever the account goes

    def redacted(self) -> "KeptNumber":
        return self.but(masked=Masked(), last4="")


class BankNumber(Value):
    """A sound number in clear, on its way to be sealed: never in a fact, an answer or a log."""

    type: AccountType
    account: str  # the IBAN, or the number within the branch
    branch: str = ""  # routing number, sort code or BSB

    def __repr__(self) -> str:
        return f"BankNumber({self.type}, …)"

    @property
    def text(self) -> str:
        """All of it: what is sealed, and what is recognised when it comes again."""
        return ":".join((self.type, self.branch, self.account))

    @property
    def country(self) -> str | None:
        """Where the account is, if its number tells (ISO 3166-1 alpha-2)."""
        return self.account[:2] if self.type == "iban" else COUNTRY.get(self.type)

    @property
    def last4(self) -> str:
        return _end(self.account)

    @property
    def masked(self) -> Masked:
        if self.type == "iban":
            return Masked(iban=f"{self.account[:2]}** **** **** {self.last4}")
        shown = Masked(account_number=f"**** {self.last4}")
        if self.type in BRANCH:
            stars = "*" * (len(self.branch) - 2)
            return shown.but(**{BRANCH[self.type]: stars + self.branch[-2:]})
        return shown

    def kept(
        self, fingerprint: str, sealed: str, *, sealed_by: UUID, sealed_for: UUID
    ) -> KeptNumber:
        """What goes on record of it."""
        return KeptNumber(
            type=self.type,
            masked=self.masked,
            last4=self.last4,
            country=self.country,
            fingerprint=fingerprint,
            sealed=sealed,
            sealed_by=sealed_by,
            sealed_for=sealed_for,
        )


def read(type: AccountType, given: NumberWritten) -> BankNumber:
    """The number that was written. Raises `Invalid`, without repeating it."""
    branch = BRANCH.get(type)
    wanted = ["iban"] if type == "iban" else ["account_number", *([branch] if branch else [])]
    for name in given.__struct_fields__:
        present = bool((getattr(given, name) or "").strip())
        if present != (name in wanted):
            problem = "needs" if name in wanted else "has no"
            raise Invalid(
                f"An account of type {type} {problem} {name}.", code="number_parts", field=name
            )
    if type == "iban":
        return BankNumber(type, _iban(given.iban or ""))
    account = _plain(given.account_number or "")
    if ACCOUNT[type].fullmatch(account) is None:
        raise Invalid("This is not an account number of this type.", code="bad_account_number")
    return BankNumber(type, account, _branch(branch, getattr(given, branch)) if branch else "")


def bound_to(tenant: UUID, client_id: UUID, account_id: UUID) -> tuple[str, ...]:
    """What a sealed number is bound to; it opens nowhere else."""
    return str(tenant), str(client_id), str(account_id), "number"


def check_bic(bic: str) -> str:
    """A BIC as ISO 9362 has it, in capitals and without blanks. Raises `Invalid`."""
    try:
        return str(BIC(bic).compact)
    except (SchwiftyException, ValueError):
        raise Invalid("This is not a BIC, such as COBADEFFXXX.", code="bad_bic") from None


def _iban(text: str) -> str:
    try:
        return str(IBAN(text).compact)
    except (SchwiftyException, ValueError):
        raise Invalid(
            "This IBAN has a wrong length, form or checksum (ISO 13616).", code="bad_iban"
        ) from None


def _branch(name: str, text: str) -> str:
    digits = _plain(text)
    sound = re.fullmatch("[0-9]{9}" if name == "routing_number" else "[0-9]{6}", digits)
    if sound and name == "routing_number":
        pairs = zip(ABA_WEIGHTS, digits, strict=True)
        sound = sound if sum(weight * int(it) for weight, it in pairs) % 10 == 0 else None
    if sound is None or not int(digits):
        words = name.replace("_", " ") if name != "bsb" else "BSB"
        raise Invalid(f"This is not a {words}.", code=f"bad_{name}")
    return digits


def _plain(text: str) -> str:
    return re.sub(r"[\s-]", "", text).upper()


def _end(text: str) -> str:
    return text[-4:] if len(text) >= LONG else text[-2:]
