"""The supervisor, with a stand-in for the programs it starts, and with real signals."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import zeroinvoice

SRC = Path(zeroinvoice.__file__).parents[1]
STAND_IN = Path(__file__).with_name("stand_in.py")
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


class House:
    """A running `serve`, and the diary of its children."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "the data"
        self.diary = folder / "diary"
        self.said = folder / "said"
        self.started: list[subprocess.Popen[bytes]] = []

    def serve(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start `serve`; a port of 0 lets it find a free one."""
        own = {"PYTHONPATH": str(SRC), "DIARY": str(self.diary), "ZEROINVOICE_DATA": str(self.data)}
        with self.said.open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, STAND_IN, "serve"],
                env={**os.environ, **own, "PORT": "0", "DATABASE_URL": NOWHERE, **settings},
                stdout=said,
                stderr=said,
            )
        self.started.append(process)
        return process

    def ready(self, times: int = 1) -> None:
        until(lambda: self.text().count("is ready") >= times, self.text)

    def text(self) -> str:
        return self.said.read_text()

    def notes(self, word: str = "", what: str = "") -> list[list[str]]:
        """Lines of the diary: who, process id, what."""
        if not self.diary.exists():
            return []
        lines = [line.split() for line in self.diary.read_text().splitlines()]
        return [it for it in lines if it[0].startswith(word) and it[2].startswith(what)]


def until(
    holds: Callable[[], bool], why: Callable[[], object] = lambda: "", patience: float = 15
) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.02)


def gone(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"  # dead; whoever adopted it has only not looked yet


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for process in house.started:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_says_what_is_where_and_ends_in_order(house: House, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever runs the tests has this signal ignored, as nohup does")
    process = house.serve()
    house.ready()
    text = house.text()
    assert "http://127.0.0.1:" in text
    assert "/docs" in text
    assert str(house.data) in text
    assert str(house.data / "mail") in text
    assert f"kill {process.pid}" in text
    until(lambda: len(house.notes(what="began")) == 5)
    words = [note[0] for note in house.notes(what="began")]
    assert words[0] == "migrate"
    assert sorted(words[1:]) == ["api", "api", "policies", "work"]
    process.send_signal(number)
    assert process.wait(timeout=15) == 0
    endings = [note[0] for note in house.notes(what="ended")]
    assert endings[:2] == ["api", "api"]
    assert sorted(endings[2:]) == ["policies", "work"]
    assert all(gone(note[1]) for note in house.notes())


def test_a_second_one_on_the_same_data_says_where_the_first_is(house: House) -> None:
    first = house.serve()
    house.ready()
    before = house.text()
    url = next(word for word in before.split() if word.endswith("/api")).removesuffix("/api")
    second = house.serve()
    assert second.wait(timeout=15) == 1
    line = f"ZeroInvoice already serves {house.data} at {url} (process {first.pid}).\n"
    assert house.text() == before + line


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_taken_port_is_said_in_one_line(house: House, option: int) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert house.serve(PORT=str(port)).wait(timeout=15) == 1
    assert house.text() == (
        f"Port {port} on 127.0.0.1 is taken by another program; "
        f"choose another, as in PORT={port + 1}.\n"
    )
    assert house.notes() == []


def test_an_address_of_another_machine_is_said_in_one_line(house: House) -> None:
    assert house.serve(HOST="192.0.2.1").wait(timeout=15) == 1
    assert house.text().startswith("Cannot listen on 192.0.2.1, port 0: ")
    assert house.text().count("\n") == 1


def test_a_child_that_died_starts_again(house: House) -> None:
    house.serve()
    house.ready()
    until(lambda: len(house.notes("work", "began")) == 1)
    (first,) = house.notes("work", "began")
    os.kill(int(first[1]), signal.SIGKILL)
    until(lambda: len(house.notes("work", "began")) == 2, house.text)
    assert "work ended (signal 9); it starts again in 0.2 s." in house.text()


def test_a_child_that_keeps_dying_starts_again_ever_later(house: House) -> None:
    house.serve(MANNERS="failing-policies")
    house.ready()
    until(lambda: len(house.notes("policies", "began")) == 4, house.text)
    for delay in ("0.2", "0.4", "0.8"):
        assert f"policies ended (exit code 3); it starts again in {delay} s." in house.text()
    assert len(house.notes("api", "began")) == 2


def test_children_die_with_a_killed_supervisor_and_the_port_is_free_at_once(house: House) -> None:
    process = house.serve()
    house.ready()
    until(lambda: len(house.notes(what="began")) == 5)
    url = next(word for word in house.text().split() if word.endswith("/api"))
    process.kill()
    process.wait()
    until(lambda: all(gone(note[1]) for note in house.notes()), patience=3)
    house.serve(PORT=url.rpartition(":")[2].removesuffix("/api"))
    house.ready(times=2)


def test_a_stubborn_child_does_not_hold_up_the_end(house: House) -> None:
    process = house.serve(MANNERS="stubborn-api stubborn-work", GRACE="0.5")
    house.ready()
    until(lambda: len(house.notes(what="began")) == 5)
    process.terminate()
    assert process.wait(timeout=15) == 0
    assert len(house.notes(what="refused")) == 3
    assert all(gone(note[1]) for note in house.notes())


def test_a_second_ctrl_c_hurries(house: House) -> None:
    process = house.serve(MANNERS="stubborn-api", GRACE="60")
    house.ready()
    until(lambda: len(house.notes(what="began")) == 5)
    process.send_signal(signal.SIGINT)
    until(lambda: len(house.notes("api", "refused")) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 0


def test_a_schema_that_cannot_be_set_up_ends_it(house: House) -> None:
    assert house.serve(MANNERS="failing-migrate").wait(timeout=15) == 1
    assert house.text() == "Setting up the database's schema failed (exit code 3).\n"
    assert [note[0] for note in house.notes()] == ["migrate"]


def test_it_can_be_stopped_while_it_starts(house: House) -> None:
    process = house.serve(MANNERS="slow-migrate")
    until(lambda: len(house.notes("migrate")) == 1)
    process.terminate()
    assert process.wait(timeout=15) == 0
    assert not house.notes("api")


def test_a_bad_setting_is_one_line(house: House) -> None:
    assert house.serve(API_PROCESSES="many").wait(timeout=15) == 1
    assert house.text() == "API_PROCESSES must be a whole number from 1 to 64, not 'many'.\n"


def test_the_embedded_database_is_kept_up_adopted_and_ended_with_the_rest(house: House) -> None:
    first = house.serve(DATABASE_URL="", API_PROCESSES="1")
    house.ready()
    url = house.notes("migrate")[0][3]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    pid_file = house.data / "postgres" / "cluster" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    until(lambda: "PostgreSQL had ended; it runs again" in house.text(), house.text)
    with psycopg.connect(url) as connection:  # at the same address: nobody need be told
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)

    first.kill()
    first.wait()
    pid = pid_file.read_text().split()[0]
    assert not gone(pid)
    second = house.serve(DATABASE_URL="", API_PROCESSES="1")
    house.ready(times=2)
    assert pid_file.read_text().split()[0] == pid
    assert house.notes("migrate")[1][3] == url
    second.terminate()
    assert second.wait(timeout=15) == 0
    assert gone(pid)
    assert not pid_file.exists()
