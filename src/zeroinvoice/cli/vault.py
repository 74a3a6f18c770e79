"""The vault from the command line."""

import sys

import click

from zeroinvoice.cli.surroundings import database, read_settings


@click.group("vault")
def vault_group() -> None:
    """The vault: the keys that seal personal data, and the master keys that wrap them."""


@vault_group.command("rotate")
def rotate_vault() -> None:
    """Wrap all keys under the current master key, the first one given; everything goes on."""
    import psycopg

    from zeroinvoice.gateways.sealing import MasterKeys
    from zeroinvoice.gateways.vault import rotate
    from zeroinvoice.journal.schema import KEEPER_ROLE, conninfo

    settings = read_settings()
    masters = MasterKeys(settings.master_keys)
    with database(settings) as url:
        keeper = conninfo(url, KEEPER_ROLE, application="zeroinvoice vault")
        with psycopg.connect(keeper, autocommit=True) as connection:
            rotated = rotate(connection, masters)
    click.echo(f"Keys wrapped anew under master key {masters.current}: {rotated.rewrapped}.")
    others = [it for it in rotated.needed if it.master != masters.current]
    for it in others:
        click.echo(f"Keys that still need master key {it.master}: {it.keys}.", err=True)
    if others:
        sys.exit(1)
    click.echo("No key needs another: once every process has this one first, others can go.")
