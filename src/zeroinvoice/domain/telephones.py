"""Telephone numbers as people type them, and as E.164 has them."""

import phonenumbers


def dialled(phone: str | None, country: str | None) -> str | None:
    """A telephone number as E.164 has it; None where that cannot be told."""
    if phone is None:
        return None
    try:
        number = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
