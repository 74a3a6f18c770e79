"""What every command starts from: the settings, and the database they name."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zeroinvoice.settings import Settings


def read_settings() -> "Settings":
    """The settings of this process; a bad one ends it with one line and exit code 2."""
    from zeroinvoice.settings import BadSetting, Settings

    try:
        return Settings.from_env()
    except BadSetting as trouble:
        click.echo(str(trouble), err=True)
        sys.exit(2)


@contextmanager
def database(settings: "Settings") -> Iterator[str]:
    """The database of these settings; the embedded one is joined, or started for a while."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres

    postgres = EmbeddedPostgres(settings.postgres_dir)
    try:
        yield postgres.start()
    finally:
        postgres.stop()


def child() -> tuple["Settings", str]:
    """What a supervised process starts with: its settings, its logs, and the database's URL."""
    from zeroinvoice.logs import configure
    from zeroinvoice.serve import die_with_parent

    settings = read_settings()
    die_with_parent(settings.supervisor)
    configure(settings.log_level)
    if settings.database_url is None:
        click.echo("DATABASE_URL is not set; `zeroinvoice serve` starts everything.", err=True)
        sys.exit(2)
    return settings, settings.database_url
