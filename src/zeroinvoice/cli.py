"""The command line. Every command imports what it needs when it runs, so that all start quickly."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zeroinvoice.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zeroinvoice")
def cli() -> None:
    """ZeroInvoice: invoices whose only truth is a journal of business facts."""


def main() -> None:
    cli(prog_name="zeroinvoice")


def read_settings() -> "Settings":
    """The settings of this process; a bad one ends it with one line and exit code 2."""
    from zeroinvoice.settings import BadSetting, Settings

    try:
        return Settings.from_env()
    except BadSetting as trouble:
        click.echo(str(trouble), err=True)
        sys.exit(2)


@cli.command()
def serve() -> None:
    """Serve everything: database, API, workers and policies, until Ctrl-C."""
    from zeroinvoice import serve as supervisor

    sys.exit(supervisor.serve(read_settings()))
