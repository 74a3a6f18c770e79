"""kill -9 of anything, while writing: nothing acknowledged is lost, nothing doubled or halved."""

import os
import random
import signal
import time
from typing import Any

from access_operations import TIMED
from checks import everything_holds
from client_journal import known
from figures import say
from offices import meanwhile
from operations import TABLE, prepared
from records import Records
from rounds import crash_rounds, send

ROUNDS, WRITES = 15, 400


def test_every_operation_of_the_table_takes_place_or_is_refused(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """The table itself: without a fault each leaves exactly the events it is said to leave."""
    attempts = [it for one in (*TABLE, *TIMED) for it in prepared(office, rng, 3, one.name)]
    send(office, attempts)
    for it in attempts:
        expected = "acked" if it.operation.effect else "refused"
        assert it.outcome == expected, (it.operation.name, it.answer and it.answer.text)
    everything_holds(installation.database(), office, attempts, Records())


def test_kill_9_loses_doubles_and_halves_nothing(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G1, G2, G15: rounds of mixed writes with a kill in each; every unknown outcome resolves."""
    seen = crash_rounds(installation, office, rng, ROUNDS, WRITES)
    say(seen)
    assert seen.acked > 0.5 * seen.writes


def test_kill_9_of_everything_and_a_new_start_lose_nothing(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G1: supervisor, database and all processes at once."""
    attempts = prepared(office, rng, WRITES)

    def all_at_once() -> None:
        time.sleep(rng.uniform(0.05, 0.3))
        pids = [installation.process.pid, installation.postmaster()]
        pids += [pid for word in ("api", "work", "policies") for pid in installation.pids(word)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        installation.process.wait()

    with meanwhile(all_at_once):
        send(office, attempts)
    installation.start()
    everything_holds(installation.database(), office, attempts, Records())


def test_no_answer_tells_nothing() -> None:
    """The harness itself: a broken connection is neither an acknowledgement nor a refusal."""
    assert known(None) == "unknown"
