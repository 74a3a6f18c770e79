"""Letters handed to a real SMTP server on this machine, or left as files."""

import asyncio
import email
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from zeroinvoice.gateways.mail import FileMailer, Letter, SmtpMailer, file_name, mailer_of
from zeroinvoice.kernel.refusals import Refused, Unavailable
from zeroinvoice.settings import Settings

SENDER = "ZeroInvoice <zeroinvoice@example.com>"
AT = datetime(2026, 3, 2, 12, 30, 15, 123456, tzinfo=UTC)
LETTER = Letter("0123abcd.7", "jane@example.org", "Grüße", "First line\nZweite Zeile: ä\n", AT)


class Sink:
    """A server's end: keeps what it is given, or answers as a test likes."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.to_recipient = "250 OK"
        self.to_data = "250 OK"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.to_data.startswith("250"):
            self.got.append(envelope)
        return self.to_data


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def port(sink: Sink) -> Iterator[int]:
    controller = Controller(sink, hostname="127.0.0.1", port=free_port(), server_hostname="sink")
    controller.start()
    yield controller.port
    controller.stop()


def send(mailer: Any, letter: Letter = LETTER) -> None:
    asyncio.run(mailer.send(letter))


def test_a_letter_arrives_as_it_was_written(sink: Sink, port: int) -> None:
    send(SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER))
    (envelope,) = sink.got
    assert envelope.mail_from == "zeroinvoice@example.com"
    assert envelope.rcpt_tos == ["jane@example.org"]
    got = email.message_from_bytes(envelope.content, policy=default)
    assert got["Subject"] == "Grüße"
    assert got["Message-ID"] == "<0123abcd.7@example.com>"
    assert got["Date"].datetime == AT.replace(microsecond=0)
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content().replace("\r\n", "\n") == LETTER.text


def test_a_letter_sent_twice_is_known_by_its_message_id(sink: Sink, port: int) -> None:
    mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER)
    send(mailer)
    send(mailer)
    assert sink.got[0].content == sink.got[1].content


@pytest.mark.parametrize("answer", ["550 no such user", "554 never"])
def test_a_letter_that_is_refused_for_good_is_refused(sink: Sink, port: int, answer: str) -> None:
    mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER)
    sink.to_recipient = answer
    with pytest.raises(Refused):
        send(mailer)
    sink.to_recipient, sink.to_data = "250 OK", answer
    with pytest.raises(Refused):
        send(mailer)


def test_a_letter_that_is_refused_for_now_may_come_again(sink: Sink, port: int) -> None:
    sink.to_recipient = "450 greylisted"
    with pytest.raises(Unavailable):
        send(SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER))


def test_a_server_that_is_away_or_wants_no_login_loses_no_letter(port: int) -> None:
    """A wrong password of ours is the operator's to mend, not the letter's fault."""
    for url in (
        "smtp://127.0.0.1:1",
        f"smtps://127.0.0.1:{port}",
        f"smtp://us:secret@127.0.0.1:{port}",
    ):
        with pytest.raises(Unavailable) as away:
            send(SmtpMailer(url, SENDER))
        assert "secret" not in str(away.value)


def test_a_login_is_sent_and_decoded_from_the_url(sink: Sink) -> None:
    seen = []

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=free_port(),
        server_hostname="sink",
        authenticator=check,
        auth_require_tls=False,
    )
    controller.start()
    try:
        url = f"smtp://us%40example.com:p%3Aw@127.0.0.1:{controller.port}"
        send(SmtpMailer(url, SENDER))
    finally:
        controller.stop()
    assert seen == [(b"us@example.com", b"p:w")]
    assert len(sink.got) == 1


def test_letters_are_files_when_there_is_no_server(tmp_path: Path) -> None:
    """Names sort by time; sent again, a letter replaces itself; nobody else can read it."""
    folder = tmp_path / "mail"
    folder.mkdir(mode=0o755)
    mailer = FileMailer(folder, SENDER)
    later = Letter("0123abcd.6", LETTER.to, "Later", "x", AT + timedelta(seconds=1))
    for letter in (later, LETTER, LETTER):
        send(mailer, letter)
    paths = sorted(folder.iterdir())
    assert [it.name for it in paths] == [file_name(LETTER), file_name(later)]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert paths[0].stat().st_mode & 0o777 == 0o600
    got = email.message_from_bytes(paths[0].read_bytes(), policy=default)
    assert (got["To"], got["Subject"]) == (LETTER.to, LETTER.subject)


def test_a_folder_that_cannot_be_written_loses_no_letter(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file in the way")
    with pytest.raises(Unavailable):
        send(FileMailer(tmp_path / "mail", SENDER))


def test_an_address_beyond_ascii_can_be_written(tmp_path: Path) -> None:
    send(FileMailer(tmp_path, SENDER), Letter("k.1", "zoë@example.org", "Hello", "x", AT))
    (path,) = tmp_path.iterdir()
    assert "zoë@example.org" in path.read_bytes().decode()


def test_the_settings_say_where_letters_go(tmp_path: Path) -> None:
    data = {"ZEROINVOICE_DATA": str(tmp_path)}
    assert isinstance(mailer_of(Settings.from_env(data)), FileMailer)
    smtp = Settings.from_env({**data, "SMTP_URL": "smtp://mail.example.com"})
    assert isinstance(mailer_of(smtp), SmtpMailer)
