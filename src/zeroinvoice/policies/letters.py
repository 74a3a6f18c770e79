"""Letters: the way back in, and word of what happened to an account, of a user or at a bank."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from zeroinvoice.domain.bank_accounts import (
    BankAccountAdded,
    BankAccountRemoved,
    BankAccountRevised,
    BankAccounts,
    BankAccountsAdopted,
    BankAccountsReleased,
    BankAccountsReturned,
    DefaultAccount,
    DefaultBankAccountChosen,
)
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.contact_book import ContactBook, contact_book_of
from zeroinvoice.domain.mailbox import RESET_LASTS, Mailbox, PasswordResetAsked, reset_token
from zeroinvoice.domain.membership import INVITATION_LASTS, MemberInvited, invitation_token
from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.two_factor import (
    FEW,
    BackupCodeUsed,
    TwoFactor,
    TwoFactorCodesRegenerated,
    TwoFactorDisabled,
    TwoFactorEnabled,
)
from zeroinvoice.domain.user import LoggedIn, PasswordReset, SessionRevoked, User
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.gateways.mail import Letter, Mailer
from zeroinvoice.kernel.clock import zone
from zeroinvoice.kernel.facts import HOUSE, Fact, topics_of
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.policies.policy import Action, Look

NOTICE_LASTS = timedelta(days=3)  # after which nobody would understand a notice any more

RESET = """Somebody, most likely you, asked to set a new password for your account.

Open this link within one hour to choose one:

{link}

If it was not you, do nothing: your password stays as it is.
"""

INVITED = """You are invited to {workspace}, which keeps its invoices with us, as {role}.

Open this link within three days to choose a password and join:

{link}

If you do not know {workspace}, do nothing.
"""

CHANGED = """The password of your account was set anew on {when}, by a link we mailed to you.
Every session was ended; log in with the new password.

If it was not you, ask for another link at once: {home}
"""

NEW_DEVICE = """Your account was logged in to on {when} from a device we have not seen before.

Program: {agent}
Address: {ip}

If it was you, there is nothing to do. If not, set a new password at once: {home}
"""

COPIED = """On {when} somebody used a key to one of your sessions that had been used before.
It may have been copied, so we ended that session. Log in again, and set a new password
if you cannot explain it: {home}
"""

FACTOR_ON = """On {when} a second factor was switched on for your account. From now on a login
asks for a code, too. Keep the backup codes where you find them without your telephone.

If it was not you, set a new password at once: {home}
"""

FACTOR_OFF = """On {when} the second factor of your account was switched off. From now on
the password alone lets in, and every other session was ended.

If it was not you, set a new password at once: {home}
"""

NEW_CODES = """On {when} new backup codes were made for your account; those before are void.

If it was not you, set a new password at once: {home}
"""

FEW_CODES = """On {when} your account was logged in to with a backup code, or changed with one.
Backup codes left: {left}. Make new ones while you still can: {home}

If it was not you, set a new password at once.
"""

REFUNDS = """On {when} {workspace} changed the bank account to which it sends your refunds.

The account from now on: {account}

If you asked for this, there is nothing to do. If not, somebody may be trying to lead your money
elsewhere: call the person you know at {workspace}, and do not answer this letter.
"""


class Letters:
    """Writes letters; links lead to where the settings say, never to where a request says."""

    name = "policy:letters"
    topics = topics_of(
        PasswordResetAsked,
        MemberInvited,
        PasswordReset,
        LoggedIn,
        SessionRevoked,
        TwoFactorEnabled,
        TwoFactorDisabled,
        TwoFactorCodesRegenerated,
        BackupCodeUsed,
        BankAccountAdded,
        BankAccountRevised,
        DefaultBankAccountChosen,
        BankAccountRemoved,
        BankAccountsAdopted,
        BankAccountsReleased,
        BankAccountsReturned,
    )

    def __init__(self, mailer: Mailer, keyring: Keyring, public_url: str) -> None:
        self._mailer = mailer
        self._keyring = keyring
        self._public_url = public_url

    async def react(self, fact: Fact, look: Look) -> list[Action]:
        match fact.event:
            case PasswordResetAsked():
                return await self._reset(fact, look)
            case MemberInvited():
                return await self._invitation(fact, fact.event, look)
            case PasswordReset():
                return [await self._notice(fact, look, "Your password was changed", CHANGED)]
            case LoggedIn(new_device=True):
                return [await self._notice(fact, look, "A login from a new device", NEW_DEVICE)]
            case SessionRevoked():
                return [await self._notice(fact, look, "A session was ended", COPIED)]
            case TwoFactorEnabled():
                return await self._factor(fact, look, "A second factor was switched on", FACTOR_ON)
            case TwoFactorDisabled():
                return await self._factor(
                    fact, look, "The second factor was switched off", FACTOR_OFF
                )
            case TwoFactorCodesRegenerated():
                return await self._factor(fact, look, "New backup codes were made", NEW_CODES)
            case BackupCodeUsed(left=left) if left <= FEW:
                return await self._factor(
                    fact, look, "Few backup codes are left", FEW_CODES, left=left
                )
            case (
                BankAccountAdded(defaults=defaults)
                | BankAccountRevised(defaults=defaults)
                | DefaultBankAccountChosen(defaults=defaults)
                | BankAccountRemoved(defaults=defaults)
                | BankAccountsAdopted(defaults=defaults)
                | BankAccountsReleased(defaults=defaults)
                | BankAccountsReturned(defaults=defaults)
            ):
                changed = (it for it in defaults if it.purpose == "refunds")
                return [act for it in changed for act in await self._refunds(fact, look, it)]
            case _:
                return []

    async def _reset(self, fact: Fact, look: Look) -> list[Action]:
        mailbox = await look(Mailbox, HOUSE, fact.stream)
        if not mailbox.claimed or mailbox.reset != fact.version:
            return []  # nobody's address, or a later letter has made this one void
        token = reset_token(self._keyring, fact.stream, fact.version)
        text = RESET.format(link=f"{self._public_url}/reset-password#token={token}")
        user = await look(User, mailbox.tenant, mailbox.user_id)
        return [self._letter(fact, user.email, "Set a new password", text, RESET_LASTS)]

    async def _invitation(self, fact: Fact, event: MemberInvited, look: Look) -> list[Action]:
        workspace = await look(Workspace, fact.tenant, fact.stream)
        asked = workspace.membership.invitations.get(event.member_id)
        if asked is None or asked.version != fact.version:
            return []  # taken back or accepted, or a later letter has made this one void
        token = invitation_token(self._keyring, fact.tenant, event.member_id, fact.version)
        text = INVITED.format(
            workspace=_printable(workspace.settings.name),
            role=_called(asked.role),
            link=f"{self._public_url}/accept-invitation#token={token}",
        )
        return [self._letter(fact, asked.email, "You are invited", text, INVITATION_LASTS)]

    async def _factor(
        self, fact: Fact, look: Look, subject: str, text: str, left: int | None = None
    ) -> list[Action]:
        factor = await look(TwoFactor, fact.tenant, fact.stream)
        if left is not None and not factor.on:
            return []  # it was the code that switched it off
        return [await self._notice(fact, look, subject, text, factor.user_id, left)]

    async def _notice(
        self,
        fact: Fact,
        look: Look,
        subject: str,
        text: str,
        user_id: UUID | None = None,
        left: int | None = None,
    ) -> Action:
        user = await look(User, fact.tenant, user_id or fact.stream)
        workspace = await look(Workspace, fact.tenant, fact.tenant)
        text = text.format(
            when=_when(fact.at, workspace.settings.time_zone),
            agent=_printable(fact.origin.agent or "unknown"),
            ip=fact.origin.ip or "unknown",
            home=self._public_url,
            left=left or "none",
        )
        return self._letter(fact, user.email, subject, text, NOTICE_LASTS)

    async def _refunds(self, fact: Fact, look: Look, now: DefaultAccount) -> list[Action]:
        """Word to the client, since who redirects refunds would rather that nobody knew."""
        accounts = await look(BankAccounts, fact.tenant, fact.stream)
        assert accounts.client_id is not None
        client = await look(Client, fact.tenant, accounts.client_id)
        book_id = contact_book_of(fact.tenant, accounts.client_id)
        book = await look(ContactBook, fact.tenant, book_id)
        person = book.contact(book.primary).person if book.primary else None
        to = (person and person.email) or client.profile.email
        if to is None or client.deleted:
            return []
        workspace = await look(Workspace, fact.tenant, fact.tenant)
        text = REFUNDS.format(
            when=_when(fact.at, workspace.settings.time_zone),
            workspace=workspace.settings.name,
            account=_named(accounts, now.account_id),
        )
        return [self._letter(fact, to, "Your account for refunds was changed", text, NOTICE_LASTS)]

    def _letter(self, fact: Fact, to: str, subject: str, text: str, lasts: timedelta) -> Action:
        key = _key(fact.stream, fact.version)
        letter = Letter(key, to, subject, text, fact.at)
        return Action(key, fact.at + lasts, partial(self._mailer.send, letter))


def _named(accounts: BankAccounts, account_id: UUID | None) -> str:
    """An account as its owner may recognise it."""
    if account_id is None:
        return "none"
    for it in accounts.accounts:
        if it.id == account_id:
            masked = it.number.masked
            return f"{masked.iban or masked.account_number}, {it.details.account_holder}"
    return "one that was removed again since"


def _printable(text: str) -> str:
    """What others wrote, as far as it may stand in a letter of ours."""
    return "".join(c for c in text if c.isprintable())[:100]


def _called(role: Role) -> str:
    return f"an {role}" if role[0] in "ao" else f"a {role}"


def _key(stream: UUID, version: int) -> str:
    return f"{stream.hex}.{version}"


def _when(at: datetime, zone_name: str) -> str:
    return f"{at.astimezone(zone(zone_name)):%Y-%m-%d at %H:%M} ({zone_name})"
