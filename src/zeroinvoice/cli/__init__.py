"""The command line. Every command imports what it needs when it runs, so that all start quickly."""

import os
import signal
import sys
from collections.abc import Callable

import click

from zeroinvoice.cli.journal import journal_group
from zeroinvoice.cli.read_models import projections_group
from zeroinvoice.cli.surroundings import child, read_settings
from zeroinvoice.cli.vault import vault_group
from zeroinvoice.cli.workspaces import workspace_group

BEHIND = 5  # by how much projector workers give way to who answers requests (nice, POSIX)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zeroinvoice")
def cli() -> None:
    """ZeroInvoice: invoices whose only truth is a journal of business facts."""


def main() -> None:
    cli(prog_name="zeroinvoice")


cli.add_command(projections_group)
cli.add_command(journal_group)
cli.add_command(vault_group)
cli.add_command(workspace_group)


@cli.command()
def serve() -> None:
    """Serve everything: database, API, workers and policies, until Ctrl-C."""
    from zeroinvoice import serve as supervisor

    sys.exit(supervisor.serve(read_settings()))


def until_told(run: Callable[[], None], stop: Callable[[], None]) -> None:
    """Run a worker until SIGTERM or Ctrl-C asks it to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    run()


@cli.command()
def migrate() -> None:
    """Make the tables, triggers and roles, or leave them as they are."""
    from zeroinvoice.journal.schema import migrate

    _, url = child()
    migrate(url)


@cli.command()
def api() -> None:
    """Serve the API in this process; several share one port."""
    from zeroinvoice import app

    settings, url = child()
    try:
        app.run(settings, url)
    except RuntimeError as trouble:
        click.echo(str(trouble), err=True)
        sys.exit(1)


@cli.command()
def work() -> None:
    """Keep the read models at the journal's head; any number may run."""
    import projections
    from zeroinvoice.gateways.sealing import MasterKeys
    from zeroinvoice.worker import Worker

    settings, url = child()
    os.nice(BEHIND)
    worker = Worker(url, projections.projectors, MasterKeys(settings.master_keys))
    until_told(worker.run, worker.stop)


@cli.command()
def policies() -> None:
    """Do what happens by itself, such as sending mails; any number may run."""
    from zeroinvoice.kernel.clock import system_clock
    from zeroinvoice.policies.runner import Policies

    settings, url = child()
    worker = Policies(settings, url, system_clock)
    until_told(worker.run, worker.stop)


@cli.command()
@click.option("--output", default="docs/events.md", show_default=True, type=click.Path())
def events(output: str) -> None:
    """Write the catalogue of events."""
    from pathlib import Path

    from zeroinvoice.catalogue import catalogue

    Path(output).write_text(catalogue())
    click.echo(f"Wrote {output}.")


@cli.command()
def demo() -> None:
    """Fill a workspace with a year of business, through the public API, and print its login."""
    import zeroinvoice.demo as story
    from zeroinvoice.settings import local_url

    settings = read_settings()
    sys.exit(story.play(local_url(settings.host, settings.port), click.echo))
