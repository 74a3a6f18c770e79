"""The read models from the command line: listed, rebuilt, held against the journal."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from zeroinvoice.cli.surroundings import database, read_settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def _moved(bar: "Progress", task: "TaskID", position: int) -> None:
    bar.update(task, completed=position)


@click.group("projections")
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
            progress = partial(_moved, bar, bar.add_task("facts", total=journal.head()))
            if stale:
                done = refresh(connection, projections.projectors, journal, progress)
            else:
                chosen = tuple(known[name] for name in (known if everything else names))
                rebuild(connection, chosen, journal, progress)
                done = tuple(it.name for it in chosen)
        journal.close()
    click.echo(f"Rebuilt: {', '.join(done) or 'nothing'}.")


@projections_group.command("verify")
@click.argument("names", nargs=-1)
def verify_projections(names: tuple[str, ...]) -> None:
    """Hold read models, or all of them, against a fresh fold of the journal; all goes on."""
    import psycopg
    from rich.progress import Progress

    import projections
    from zeroinvoice.gateways.sealing import MasterKeys
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.schema import WORK_ROLE, conninfo
    from zeroinvoice.readside.comparison import Difference, compare

    known = {it.name: it for it in projections.projectors}
    if set(names) - set(known):
        click.echo(f"Name some of: {', '.join(known)}.", err=True)
        sys.exit(2)
    found: list[Difference] = []
    settings = read_settings()
    with database(settings) as url:
        work = conninfo(url, WORK_ROLE, application="zeroinvoice verify", statement_ms=0)
        journal = Journal.at(work, MasterKeys(settings.master_keys))
        with psycopg.connect(work, autocommit=True) as connection:
            for name in names or known:
                with Progress(transient=True) as bar:
                    task = bar.add_task(name, total=journal.head())
                    moved = partial(_moved, bar, task)
                    found += compare(connection, known[name], journal, moved).differences
        journal.close()
    for it in found:
        click.echo(f"{it.table} {it.key}: {it.why}", err=True)
    told = f"{len(found)} rows differ" if found else "as the journal has them"
    click.echo(f"{len(names or known)} read models: {told}.")
    sys.exit(1 if found else 0)
