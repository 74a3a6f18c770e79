"""The command line. Every command imports what it needs when it runs, so that all start quickly."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from uuid import UUID

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


@cli.group("projections")
def projections_group() -> None:
    """The read models: list them, rebuild them while everything goes on."""


@projections_group.command("list")
def list_projections() -> None:
    """Show each read model: where it stands, and why it stands still if it does."""
    import psycopg
    from rich.console import Console
    from rich.table import Table

    with database(read_settings()) as url, psycopg.connect(url, autocommit=True) as connection:
        head = connection.execute("SELECT coalesce(max(position), 0) FROM facts").fetchone()
        rows = connection.execute(
            "SELECT name, shape, generation, position, error, error_at FROM checkpoints"
            " ORDER BY name"
        ).fetchall()
    assert head is not None
    table = Table("projection", "version", "generation", "position", "behind", "stands still")
    for name, shape, generation, position, error, at in rows:
        why = f"at {at}: {error}" if error else ""
        numbers = (shape, generation, position, head[0] - position)
        table.add_row(name, *map(str, numbers), why)
    Console().print(table)


@projections_group.command("rebuild")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All read models.")
@click.option("--stale", is_flag=True, help="Those made for another version of the program.")
def rebuild_projections(names: tuple[str, ...], everything: bool, stale: bool) -> None:
    """Rebuild read models beside the live ones and swap them in; reads and writes go on."""
    import psycopg
    from rich.progress import Progress

    import projections
    from zeroinvoice.gateways.sealing import MasterKeys
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.schema import WORK_ROLE, conninfo
    from zeroinvoice.readside.projector import rebuild
    from zeroinvoice.worker import refresh

    known = {it.name: it for it in projections.projectors}
    unknown = set(names) - set(known)
    if unknown or not (names or everything or stale):
        click.echo(f"Name --all, --stale, or some of: {', '.join(known)}.", err=True)
        sys.exit(2)
    settings = read_settings()
    with database(settings) as url:
        work = conninfo(url, WORK_ROLE, application="zeroinvoice rebuild", statement_ms=0)
        journal = Journal.at(work, MasterKeys(settings.master_keys))
        with psycopg.connect(work, autocommit=True) as connection, Progress() as bar:
            task = bar.add_task("facts", total=journal.head())

            def progress(position: int) -> None:
                bar.update(task, completed=position)

            if stale:
                done = refresh(connection, projections.projectors, journal, progress)
            else:
                chosen = tuple(known[name] for name in (known if everything else names))
                rebuild(connection, chosen, journal, progress)
                done = tuple(it.name for it in chosen)
        journal.close()
    click.echo(f"Rebuilt: {', '.join(done) or 'nothing'}.")


@cli.group("journal")
def journal_group() -> None:
    """The journal: verify it, export it, watch it."""


@journal_group.command("verify")
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--heads", type=click.File("rb"), help="Signed heads that must be a part of it.")
@click.option("--key", "keys", multiple=True, help="Public keys by which alone heads are good.")
def verify_journal(file: IO[bytes] | None, heads: IO[bytes] | None, keys: tuple[str, ...]) -> None:
    """Check every position, version and hash: of the database, or offline of an export.

    Signed heads show, too, that nothing was cut off since, and that no chain was made anew.
    """
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.broken import Broken
    from zeroinvoice.journal.heads import read_heads
    from zeroinvoice.journal.proof import Exported, verify

    try:
        signed = [it.check(keys) for it in read_heads(heads or ())]
        if file is not None:
            found = Exported(file).verify(signed)
        else:
            with database(read_settings()) as url:
                journal = Journal.at(url)
                found = verify(journal.every_row(), signed)
                journal.close()
    except Broken as broken:
        click.echo(f"BROKEN at {broken}", err=True)
        sys.exit(1)
    click.echo(f"{found.facts} facts in {len(found.heads)} chains: all hold.")


@journal_group.command("export")
@click.argument("file", type=click.File("wb"))
@click.option("--tenant", type=click.UUID, help="One workspace only.")
def export_journal(file: IO[bytes], tenant: UUID | None) -> None:
    """Write the journal as JSON lines that verify without a database."""
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.proof import export

    with database(read_settings()) as url:
        journal = Journal.at(url)
        count = export(journal.every_row(), file, tenant)
        journal.close()
    click.echo(f"{count} facts written.", err=True)


@journal_group.command("heads")
@click.option("--tenant", type=click.UUID, help="One workspace only.")
def sign_heads(tenant: UUID | None) -> None:
    """Print a signed head of each workspace, a JSON line each: keep them where nobody else writes.

    `zeroinvoice policies` leaves the same in the data folder every hour.
    """
    import msgspec

    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.heads import Growing, Signer
    from zeroinvoice.kernel.clock import system_clock
    from zeroinvoice.kernel.secrets import Keyring

    settings = read_settings()
    signer, growing = Signer(Keyring(*settings.secret_keys)), Growing()
    with database(settings) as url:
        journal = Journal.at(url)
        for row in journal.every_row():
            growing.add(row[0], row[1], bytes(row[6]))
        journal.close()
    for head in growing.heads(system_clock()):
        if tenant in (None, head.tenant):
            click.echo(msgspec.json.encode(signer.sign(head)).decode())
    click.echo(f"Signed with the key {signer.public}.", err=True)


@journal_group.command("tail")
@click.option("--last", default=10, show_default=True, help="Facts to begin with.")
@click.option("--follow/--no-follow", default=True, show_default=True)
def tail_journal(last: int, follow: bool) -> None:
    """Print facts as they come, a line each."""
    import time

    from zeroinvoice.journal.application import Journal

    with database(read_settings()) as url:
        journal = Journal.at(url)
        position = max(0, journal.head() - last)
        try:
            while True:
                for row in journal.rows_since(position, 1_000):
                    position = row[0]
                    click.echo(f"{row[0]:>10}  {row[4]:<28} {row[2]} v{row[3]}  {row[5]}")
                if not follow:
                    return
                time.sleep(0.5)
        except KeyboardInterrupt:
            return
        finally:
            journal.close()


@cli.group("vault")
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
