"""Mail: letters handed to an SMTP server, or left as files where there is none."""

import asyncio
import hashlib
import os
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from zeroinvoice.kernel.refusals import Refused, Unavailable
from zeroinvoice.kernel.value import Value
from zeroinvoice.settings import Settings

PATIENCE = 10.0  # seconds for each answer of a mail server
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Letter(Value):
    """A letter of ours to one person, as plain text."""

    key: str  # of what caused it: the same letter sent twice has the same Message-ID
    to: str  # a bare address
    subject: str
    text: str
    at: datetime  # of what caused it


class Mailer(Protocol):
    async def send(self, letter: Letter) -> None:
        """Hand the letter over.

        Raises `Unavailable` when it may succeed later, `Refused` when it never will.
        """


class FileMailer:
    """Leaves each letter as a file; a letter that is sent again replaces itself."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        try:
            await asyncio.to_thread(self._write, letter)
        except OSError as trouble:
            raise Unavailable(f"The letter cannot be written: {trouble.strerror}.") from trouble

    def _write(self, letter: Letter) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)  # letters hold tokens; also when the folder was there before
        path = self._folder / file_name(letter)
        draft = path.with_suffix(f".{os.getpid()}.part")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message(letter, self._sender).as_bytes())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


class SmtpMailer:
    """Hands letters to a server: `smtps://` is TLS from the start, `smtp://` STARTTLS if offered.

    A user name and a password in the URL are sent only over TLS, or to this very machine.
    """

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "the settings have checked it"
        self._host = parts.hostname
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        exposed = self._user is not None and self._host not in LOOPBACK
        try:
            await aiosmtplib.send(
                message(letter, self._sender),
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                start_tls=False if self._tls else True if exposed else None,
                timeout=PATIENCE,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException) as no:
            if _is_final(no):
                raise Refused("The mail server refuses this letter.", code="mail_refused") from no
            raise Unavailable("The mail server does not take the letter now.") from no
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as no:
            if isinstance(no, aiosmtplib.SMTPNotSupported) and not letter.to.isascii():
                raise Refused(
                    "The server cannot write to that address.", code="mail_refused"
                ) from no
            raise Unavailable("The mail server cannot be reached or used.") from no


def mailer_of(settings: Settings) -> Mailer:
    """The one way letters leave this installation."""
    if settings.smtp_url is None:
        return FileMailer(settings.mail_dir, settings.mail_from)
    return SmtpMailer(settings.smtp_url, settings.mail_from)


def message(letter: Letter, sender: str) -> EmailMessage:
    """The letter as RFC 5322 has it: always the same bytes for the same letter."""
    made = EmailMessage(policy=SMTP if letter.to.isascii() else SMTPUTF8)
    made["From"] = sender
    made["To"] = letter.to
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(letter.at.astimezone(UTC))
    host = sender.rpartition("@")[2].strip("> ")
    made["Message-ID"] = f"<{letter.key}@{host}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice in reply
    made.set_content(letter.text)
    return made


def file_name(letter: Letter) -> str:
    """Names sort by time."""
    mark = hashlib.sha256(letter.key.encode()).hexdigest()[:12]
    return f"{letter.at.astimezone(UTC):%Y%m%dT%H%M%S.%f}Z-{mark}.eml"


def _is_final(
    no: aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPResponseException,
) -> bool:
    """Whether the refusal is of this letter and for good.

    A refusal of our login or of our sender is a matter of settings: the operator will see to
    it, and until then no letter may be lost.
    """
    if isinstance(no, aiosmtplib.SMTPRecipientsRefused):
        return all(500 <= it.code < 600 for it in no.recipients)
    kinds = (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError)
    return isinstance(no, kinds) and 500 <= no.code < 600
