"""The wording of the activity feed: one sentence a verb in each language, filled at read time."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from zeroinvoice.kernel.money import Money

LANGUAGE = "en"  # where nobody asks for one that is spoken here

# What stands in square brackets is left out where something in it is not known.
SENTENCES: dict[str, dict[str, str]] = {
    "en": {
        "invoice_created": "{actor} drafted an invoice of {amount} for {client}",
        "invoice_revised": "{actor} revised the draft of {amount} for {client}",
        "invoice_sent": "{actor} sent invoice {number} of {amount} to {client}",
        "invoice_sent_again": "{actor} sent invoice {number} to {client} again",
        "invoice_amended": "{actor} amended invoice {number} of {client}",
        "invoice_deleted": "{actor} deleted the draft of {amount} for {client}",
        "invoice_cancelled": "{actor} cancelled invoice {number} of {amount} to {client}",
        "invoice_written_off": "{actor} wrote off {amount} of invoice {number} to {client}",
        "invoice_reinstated": "{actor} reinstated invoice {number} of {amount} to {client}",
        "payment_received": (
            "{actor} recorded a payment of {amount} from {client}"
            "[ for invoice {invoice_number}][ for {detail} invoices]"
        ),
        "payment_reentered": (
            "{actor} put a payment of {amount} from {client} right"
            "[ for invoice {invoice_number}][ for {detail} invoices]"
        ),
        "payment_corrected": "{actor} corrected the payment of {amount} from {client}",
        "payment_voided": "{actor} voided the payment of {amount} from {client}",
        "payment_refunded": "{actor} refunded {amount} to {client}[ for invoice {invoice_number}]",
        "receipt_written": "{actor} wrote receipt {number} of {amount} for {client}",
        "credit_issued": (
            "{actor} gave {client} a {detail} of {amount}[ under {number}]"
            "[ for invoice {invoice_number}]"
        ),
        "credit_applied": (
            "{actor} applied {amount} of {client}'s credit to invoice {invoice_number}"
        ),
        "credit_unapplied": "{actor} took an application of {client}'s credit back",
        "credit_refunded": "{actor} paid {amount} of a credit out to {client}",
        "credit_voided": "{actor} voided a credit of {amount} for {client}",
        "client_added": "{actor} added {client}",
        "client_revised": "{actor} revised {client}",
        "client_terms_revised": "{actor} revised how {client} pays",
        "client_archived": "{actor} archived {client}",
        "client_restored": "{actor} restored {client}",
        "client_deleted": "{actor} deleted a client",
        "clients_merged": "{actor} merged other clients ({detail}) into {client}",
        "client_merge_undone": "{actor} undid a merge into {client}",
        "contact_added": "{actor} added {contact} to the contacts of {client}",
        "contact_revised": "{actor} revised {contact} of {client}",
        "contact_removed": "{actor} removed a contact of {client}",
        "primary_contact_chosen": "{actor} made {contact} the primary contact of {client}",
        "member_invited": "{actor} invited somebody as {detail}",
        "invitation_revoked": "{actor} took an invitation back",
        "member_joined": "{member} joined as {detail}",
        "role_assigned": "{actor} made {member} {detail}",
        "member_removed": "{actor} removed {member} from the workspace",
        "workspace_opened": "{actor} opened the workspace",
        "workspace_revised": "{actor} revised the settings of the workspace",
        "tax_code_defined": "{actor} defined the tax code {detail}",
        "tax_code_retired": "{actor} retired the tax code {detail}",
    },
    "de": {
        "invoice_created": "{actor} hat eine Rechnung über {amount} für {client} entworfen",
        "invoice_revised": "{actor} hat den Entwurf über {amount} für {client} geändert",
        "invoice_sent": "{actor} hat Rechnung {number} über {amount} an {client} gesendet",
        "invoice_sent_again": "{actor} hat Rechnung {number} erneut an {client} gesendet",
        "invoice_amended": "{actor} hat Rechnung {number} an {client} ergänzt",
        "invoice_deleted": "{actor} hat den Entwurf über {amount} für {client} gelöscht",
        "invoice_cancelled": ("{actor} hat Rechnung {number} über {amount} an {client} storniert"),
        "invoice_written_off": (
            "{actor} hat {amount} von Rechnung {number} an {client} ausgebucht"
        ),
        "invoice_reinstated": (
            "{actor} hat Rechnung {number} über {amount} an {client} wieder eingebucht"
        ),
        "payment_received": (
            "{actor} hat eine Zahlung über {amount} von {client}"
            "[ für Rechnung {invoice_number}][ für {detail} Rechnungen] erfasst"
        ),
        "payment_reentered": (
            "{actor} hat eine Zahlung über {amount} von {client}"
            "[ für Rechnung {invoice_number}][ für {detail} Rechnungen] berichtigt"
        ),
        "payment_corrected": "{actor} hat die Zahlung über {amount} von {client} korrigiert",
        "payment_voided": "{actor} hat die Zahlung über {amount} von {client} zurückgenommen",
        "payment_refunded": (
            "{actor} hat {amount} an {client}[ für Rechnung {invoice_number}] erstattet"
        ),
        "receipt_written": "{actor} hat Quittung {number} über {amount} für {client} ausgestellt",
        "credit_issued": (
            "{actor} hat {client} ein Guthaben ({detail}) über {amount}[ unter {number}]"
            "[ zu Rechnung {invoice_number}] gegeben"
        ),
        "credit_applied": (
            "{actor} hat {amount} Guthaben von {client} mit Rechnung {invoice_number} verrechnet"
        ),
        "credit_unapplied": "{actor} hat eine Verrechnung von {client} zurückgenommen",
        "credit_refunded": "{actor} hat {amount} Guthaben an {client} ausgezahlt",
        "credit_voided": "{actor} hat ein Guthaben über {amount} für {client} annulliert",
        "client_added": "{actor} hat {client} angelegt",
        "client_revised": "{actor} hat {client} geändert",
        "client_terms_revised": "{actor} hat die Zahlungsweise von {client} geändert",
        "client_archived": "{actor} hat {client} archiviert",
        "client_restored": "{actor} hat {client} wiederhergestellt",
        "client_deleted": "{actor} hat einen Kunden gelöscht",
        "clients_merged": "{actor} hat weitere Kunden ({detail}) mit {client} zusammengeführt",
        "client_merge_undone": "{actor} hat eine Zusammenführung mit {client} aufgehoben",
        "contact_added": "{actor} hat {contact} als Kontakt von {client} angelegt",
        "contact_revised": "{actor} hat {contact} von {client} geändert",
        "contact_removed": "{actor} hat einen Kontakt von {client} entfernt",
        "primary_contact_chosen": "{actor} hat {contact} zum Hauptkontakt von {client} gemacht",
        "member_invited": "{actor} hat jemanden eingeladen ({detail})",
        "invitation_revoked": "{actor} hat eine Einladung zurückgenommen",
        "member_joined": "{member} gehört jetzt dazu ({detail})",
        "role_assigned": "{actor} hat {member} eine Rolle gegeben: {detail}",
        "member_removed": "{actor} hat {member} aus dem Arbeitsbereich entfernt",
        "workspace_opened": "{actor} hat den Arbeitsbereich eröffnet",
        "workspace_revised": "{actor} hat die Einstellungen des Arbeitsbereichs geändert",
        "tax_code_defined": "{actor} hat den Steuerschlüssel {detail} festgelegt",
        "tax_code_retired": "{actor} hat den Steuerschlüssel {detail} stillgelegt",
    },
}

# Words that stand for what has no name, or none any more; and what a code is called.
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "system": "ZeroInvoice",
        "anonymous": "Somebody",
        "user": "(former member)",
        "api_key": "(API key)",
        "client": "(deleted client)",
        "contact": "(deleted contact)",
        "member": "member",
        "owner": "owner",
        "admin": "administrator",
        "accountant": "accountant",
        "auditor": "auditor",
        "credit_note": "credit note",
        "goodwill": "goodwill credit",
        "prepayment": "prepayment",
        "overpayment": "credit for an overpayment",
        "times": " ({count} times)",
        "dates": " (of {on}, recorded {at})",
    },
    "de": {
        "system": "ZeroInvoice",
        "anonymous": "Jemand",
        "user": "(früheres Mitglied)",
        "api_key": "(API-Schlüssel)",
        "client": "(gelöschter Kunde)",
        "contact": "(gelöschter Kontakt)",
        "member": "Mitglied",
        "owner": "Inhaber",
        "admin": "Verwalter",
        "accountant": "Buchhalter",
        "auditor": "Prüfer",
        "credit_note": "Gutschrift",
        "goodwill": "Kulanz",
        "prepayment": "Vorauszahlung",
        "overpayment": "Überzahlung",
        "times": " ({count}-mal)",
        "dates": " (vom {on}, erfasst am {at})",
    },
}
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}
_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_FIELD = re.compile(r"\{(\w+)\}")


def spoken(*asked: str | None) -> str:
    """The first language that is spoken here of some tags (BCP 47), the most wanted first."""
    for tag in asked:
        language = (tag or "").strip().lower().partition("-")[0]
        if language in SENTENCES:
            return language
    return LANGUAGE


def accepted(header: str | None) -> list[str]:
    """The tags of an `Accept-Language` (RFC 9110 12.5.4), best first; what is malformed is none."""
    weighed: list[tuple[float, str]] = []
    for part in (header or "")[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameter) if parameter else None
        weight = float(match[1]) if match else 0.0 if parameter else 1.0
        if weight > 0:
            weighed.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda it: -it[0])]


def money(amount: Money, language: str) -> str:
    """An amount as people of a language write it."""
    digits = f"{Decimal(amount.text):,}"
    if language == "de":
        digits = digits.translate(str.maketrans(",.", ".,"))
        return f"{digits} {amount.currency}"
    return f"{amount.currency} {digits}"


def day(on: date, language: str) -> str:
    month = MONTHS[language].split()[on.month - 1]
    return f"{on.day}. {month} {on.year}" if language == "de" else f"{on.day} {month} {on.year}"


def word(code: str, language: str) -> str:
    """What a code is called in a language; one that is not a word of ours stays as it is."""
    return WORDS[language].get(code, code)


def sentence(verb: str, names: Mapping[str, str | None], language: str) -> str:
    """A verb's sentence with these names; a part in brackets falls away where one is unknown."""
    text = SENTENCES[language][verb]

    def kept(part: re.Match[str]) -> str:
        return part[1] if all(names.get(it) for it in _FIELD.findall(part[1])) else ""

    told = _FIELD.sub(lambda it: names.get(it[1]) or "…", _OPTIONAL.sub(kept, text))
    return told[0].upper() + told[1:]
