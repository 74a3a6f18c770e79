"""Passwords: which ones are good enough (NIST SP 800-63B), without asking anybody outside."""

import unicodedata
from functools import lru_cache
from importlib.resources import files

from zeroinvoice.kernel.refusals import Invalid

LONG = 12  # characters, enough by their number alone
SHORT = 8  # characters at the least, and then not one of the common ones
LARGEST = 1024  # characters in a request; nothing is ever cut off


def canonical(password: str) -> str:
    """One form for all the ways a keyboard may send the same characters."""
    return unicodedata.normalize("NFKC", password)


def check_strength(password: str) -> None:
    """Raises `Invalid` (`weak_password`) for one that would soon be guessed."""
    length = len(canonical(password))
    if length < SHORT:
        raise Invalid(f"A password has at least {SHORT} characters.", code="weak_password")
    if length < LONG and canonical(password).casefold() in _common():
        raise Invalid(
            f"This password is one of the most common; choose another, or {LONG} characters.",
            code="weak_password",
        )


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    text = files("zeroinvoice.domain").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
