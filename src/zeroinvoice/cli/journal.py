"""The journal from the command line: verified, exported, proven, watched."""

import sys
from datetime import datetime
from functools import partial
from typing import IO
from uuid import UUID

import click

from zeroinvoice.cli.surroundings import database, read_settings


@click.group("journal")
def journal_group() -> None:
    """The journal: verify it, export it, watch it."""


@journal_group.command("verify")
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--heads", type=click.File("rb"), help="Signed heads that must be a part of it.")
@click.option("--key", "keys", multiple=True, help="Public keys by which alone heads are good.")
def verify_journal(file: IO[bytes] | None, heads: IO[bytes] | None, keys: tuple[str, ...]) -> None:
    """Check every position, version and hash: of the database, or offline of an export.

    Signed heads show, too, that nothing was cut off since, and that no chain was made anew. Of the
    database its snapshots are compared with what the facts add up to.
    """
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.broken import Broken
    from zeroinvoice.journal.heads import read_heads
    from zeroinvoice.journal.proof import Exported, verify

    count, wrong = 0, list[UUID]()
    try:
        signed = [it.check(keys) for it in read_heads(heads or ())]
        if file is not None:
            found = Exported(file).verify(signed)
        else:
            with database(read_settings()) as url:
                journal = Journal.at(url)
                found = verify(journal.every_row(), signed, elsewhere=journal.elsewhere())
                count, wrong = journal.check_snapshots()
                journal.close()
    except Broken as broken:
        click.echo(f"BROKEN at {broken}", err=True)
        sys.exit(1)
    click.echo(f"{found.facts} facts in {len(found.heads)} chains: all hold.")
    if wrong:
        streams = ", ".join(map(str, wrong))
        click.echo(f"Snapshots of {streams} are not what the facts add up to.", err=True)
        sys.exit(1)
    if count:
        click.echo(f"{count} snapshots are what the facts add up to.")


@journal_group.command("export")
@click.argument("file", type=click.File("wb"))
@click.option("--tenant", type=click.UUID, help="One workspace only.")
def export_journal(file: IO[bytes], tenant: UUID | None) -> None:
    """Write the journal as JSON lines that verify without a database."""
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.proof import export

    with database(read_settings()) as url:
        journal = Journal.at(url)
        away = journal.elsewhere() if tenant is None else []
        count = export(journal.every_row(), file, tenant, away)
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


@journal_group.command("prove")
@click.argument("seq", type=int)
@click.option("--since", type=int, help="Prove growth since so many facts of its workspace, too.")
def prove(seq: int, since: int | None) -> None:
    """Print a proof, a JSON line, that the fact at a position is in its workspace's journal.

    With --since a second one, that the journal only grew since it had so many facts.
    """
    import msgspec

    from zeroinvoice.journal.application import Journal
    from zeroinvoice.journal.evidence import growth_of, inclusion_of
    from zeroinvoice.journal.heads import Signer
    from zeroinvoice.kernel.clock import system_clock
    from zeroinvoice.kernel.refusals import Refusal
    from zeroinvoice.kernel.secrets import Keyring

    settings = read_settings()
    signer, now = Signer(Keyring(*settings.secret_keys)), system_clock()
    with database(settings) as url:
        journal = Journal.at(url)
        tenant, links = journal.chain_of(seq)
        journal.close()
    try:
        proofs: list[object] = [inclusion_of(seq, tenant, links, signer, now)]
        if since is not None:
            proofs.append(growth_of(since, tenant, links, signer, now))
    except Refusal as no:
        click.echo(no.message, err=True)
        sys.exit(1)
    for proof in proofs:
        click.echo(msgspec.json.encode(proof).decode())


@journal_group.command("check")
@click.argument("file", type=click.File("rb"))
@click.option("--heads", type=click.File("rb"), help="Earlier heads that growth must begin with.")
@click.option("--key", "keys", multiple=True, help="Public keys by which alone heads are good.")
def check_proofs(file: IO[bytes], heads: IO[bytes] | None, keys: tuple[str, ...]) -> None:
    """Check proofs, a JSON line each, with neither database nor network."""
    from zeroinvoice.journal.broken import Broken
    from zeroinvoice.journal.evidence import check_all
    from zeroinvoice.journal.heads import read_heads

    try:
        count = check_all(file, keys, [it.check(keys) for it in read_heads(heads or ())])
    except Broken as broken:
        click.echo(f"BROKEN at {broken}", err=True)
        sys.exit(1)
    click.echo(f"{count} proofs: all hold.")


@journal_group.command("replay")
@click.option("--tenant", type=click.UUID, required=True, help="Of which workspace.")
@click.option("--until", help="An instant, or a fact's position; by default now.")
@click.option("--change", "file", type=click.File("rb"), required=True, help="What differs: JSON.")
@click.option("--table", is_flag=True, help="Tables for people, instead of JSON.")
def replay(tenant: UUID, until: str | None, file: IO[bytes], table: bool) -> None:
    """Tell a workspace's history again with something in it changed; nothing is written.

    The file holds what POST /api/simulate takes, such as
    {"changes": [{"type": "terms", "net_days": 14}]}.
    """
    import msgspec
    from rich.console import Console

    from projections.simulations import MOST_BY_HAND, Simulate, simulated
    from zeroinvoice.cli.replay import tables_of
    from zeroinvoice.domain.history import TOPICS
    from zeroinvoice.gateways.sealing import MasterKeys
    from zeroinvoice.http.bodies import decoded
    from zeroinvoice.journal.application import Journal
    from zeroinvoice.kernel.clock import system_clock
    from zeroinvoice.kernel.refusals import Refusal

    try:
        asked = decoded(file.read(), Simulate)
        if until is not None:
            asked = asked.but(until=_until(until))
        settings = read_settings()
        with database(settings) as url:
            journal = Journal.at(url, MasterKeys(settings.master_keys))
            read = partial(journal.facts_of, tenant, TOPICS)
            found = simulated(asked, tenant, read, system_clock(), MOST_BY_HAND)
            journal.close()
    except Refusal as no:
        click.echo(no.message, err=True)
        sys.exit(1)
    if not table:
        click.echo(msgspec.json.encode(found).decode())
        return
    console = Console()
    for each in tables_of(found):
        console.print(each)


def _until(text: str) -> datetime | int:
    """A position, or an instant. Raises `BadInput`."""
    from zeroinvoice.kernel.refusals import BadInput

    try:
        return int(text) if text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("Give --until as an RFC 3339 instant, or as a position.") from None


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
