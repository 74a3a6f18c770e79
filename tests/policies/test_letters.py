"""Letters through a real mail server that comes and goes."""

import email
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller

from zeroinvoice.domain.mailbox import Mailbox, mailbox_id
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Settings as WorkspaceSettings
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.gateways.mail import SmtpMailer
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import HOUSE
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.policies.letters import Letters


class Sink:
    """A mail server's end that keeps the letters to one address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.got: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.address in envelope.rcpt_tos:
            self.got.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture(autouse=True)
def time_as_it_is(house: Any) -> Iterator[None]:
    house.clock.moved = timedelta()
    yield
    house.clock.moved = timedelta()


def test_letters_outlast_a_mail_server_that_is_away(
    house: Any, following: Any, eventually: Any
) -> None:
    """None is lost, and a link that is void by now is not sent."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"{uuid4().hex}@example.com"
    box = mailbox_id(address)

    def registered(desk: Desk) -> None:
        user_id, tenant = desk.new_id(), desk.new_id()
        mailbox = desk.find(Mailbox, box)
        desk.record(mailbox, mailbox.claim(user_id, tenant))
        user = desk.new(User, user_id, tenant=tenant)
        desk.record(user, user.register(address, "Jane", "$hash", "en", "d"), tenant=tenant)
        workspace = desk.new(Workspace, tenant, tenant=tenant)
        zoned = WorkspaceSettings(name="J", time_zone="Asia/Tokyo")
        desk.record(workspace, workspace.open(user_id, zoned), tenant=tenant)

    def logged_in(desk: Desk) -> None:
        mailbox = desk.find(Mailbox, box)
        user = desk.open(User, mailbox.user_id, tenant=mailbox.tenant)
        desk.record(user, user.log_in(new_id(), "elsewhere", desk.now), tenant=mailbox.tenant)

    def asked(desk: Desk) -> None:
        mailbox = desk.find(Mailbox, box)
        desk.record(mailbox, mailbox.ask_reset(desk.now))

    house.commit(HOUSE, registered)
    house.commit(HOUSE, asked)
    house.clock.moved += timedelta(hours=2)
    house.commit(HOUSE, logged_in)
    house.commit(HOUSE, asked)

    mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", "us@example.com")
    letters = Letters(mailer, house.parts.keyring, "https://invoices.example")
    letters.name = f"policy:letters-{uuid4().hex[:8]}"  # the house has its own, writing files
    sink = Sink(address)
    controller = Controller(sink, hostname="127.0.0.1", port=port, server_hostname="sink")
    with following(letters):
        time.sleep(1.5)  # it tries, and nobody answers
        controller.start()
        try:
            eventually(lambda: len(sink.got) == 2)
        finally:
            controller.stop()
    notice, link = sorted(sink.got, key=lambda it: str(it["Subject"]))  # each is tried by itself
    assert notice["Subject"] == "A login from a new device"
    assert "(Asia/Tokyo)" in notice.get_content()
    assert link["Subject"] == "Set a new password"
    assert "https://invoices.example/reset-password#token=" in link.get_content()
