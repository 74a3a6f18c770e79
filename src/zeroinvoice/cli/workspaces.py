"""Workspaces from the command line: carried to another server."""

import secrets
import sys
from pathlib import Path
from uuid import UUID

import click

from zeroinvoice.cli.surroundings import database, read_settings

KEY_FILE = click.option(
    "--key-file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The transfer key, in hexadecimal. Carry it by another way than the folder.",
)


@click.group("workspace")
def workspace_group() -> None:
    """Workspaces: carry one to another server."""


@workspace_group.command("export")
@click.argument("tenant", type=click.UUID)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@KEY_FILE
def export_workspace(tenant: UUID, folder: Path, key_file: Path) -> None:
    """Write a workspace's journal, a signed head of it and its keys into a folder.

    The key file is made if there is none. Without it nobody reads a name or a bank number.
    """
    from zeroinvoice.gateways.sealing import MasterKeys
    from zeroinvoice.journal.heads import Signer
    from zeroinvoice.kernel.clock import system_clock
    from zeroinvoice.kernel.refusals import Refusal
    from zeroinvoice.kernel.secrets import Keyring
    from zeroinvoice.moving import pack

    settings = read_settings()
    if not key_file.exists():
        key_file.touch(mode=0o600)
        key_file.write_text(secrets.token_hex(32) + "\n")
    masters, transfer = MasterKeys(settings.master_keys), MasterKeys([_key(key_file)])
    signer = Signer(Keyring(*settings.secret_keys))
    try:
        with database(settings) as url:
            count = pack(url, tenant, folder, signer, masters, transfer, system_clock())
    except Refusal as no:
        click.echo(no.message, err=True)
        sys.exit(1)
    click.echo(f"{count} facts written; their head is signed with the key {signer.public}.")


@workspace_group.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@KEY_FILE
@click.option("--key", "keys", multiple=True, help="Public keys that may have signed the head.")
def import_workspace(folder: Path, key_file: Path, keys: tuple[str, ...]) -> None:
    """Take over a workspace into an empty journal; it keeps its positions, hashes and answers.

    Stop `zeroinvoice policies` first. Passwords and second factors stay what they were; sessions,
    API keys, backup codes and links in letters were the other server's, and end.
    """
    from zeroinvoice.gateways.sealing import MasterKeys, Unsound
    from zeroinvoice.journal.broken import Broken
    from zeroinvoice.journal.schema import migrate
    from zeroinvoice.kernel.clock import system_clock
    from zeroinvoice.kernel.refusals import Refusal
    from zeroinvoice.moving import unpack
    from zeroinvoice.policies.runner import NAMES

    settings = read_settings()
    masters, transfer = MasterKeys(settings.master_keys), MasterKeys([_key(key_file)])
    try:
        with database(settings) as url:
            migrate(url)
            moved = unpack(url, folder, keys, masters, transfer, NAMES, system_clock())
    except (Broken, Refusal, Unsound) as no:
        click.echo(f"Nothing was taken over: {no}", err=True)
        sys.exit(1)
    click.echo(
        f"{moved.facts} facts of workspace {moved.tenant} taken over; {moved.members} can log in."
    )


def _key(file: Path) -> bytes:
    try:
        key = bytes.fromhex(file.read_text().strip())
    except (OSError, ValueError) as wrong:
        click.echo(f"{file} is no transfer key: {wrong}", err=True)
        sys.exit(2)
    if len(key) < 32:
        click.echo(f"{file} holds fewer than 32 bytes.", err=True)
        sys.exit(2)
    return key
