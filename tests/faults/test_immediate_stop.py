"""An immediate stop of the database: what was acknowledged a moment before is on disk."""

import os
import random
import signal
from typing import Any

from barriers import wait_for
from checks import everything_holds
from offices import meanwhile
from operations import prepared
from records import Records
from rounds import send

ROUNDS, WRITES = 2, 240


def test_an_immediate_stop_of_the_database_loses_nothing_acknowledged(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G1: as `pg_ctl -m immediate` does it, and in the middle of writing."""
    records = Records()
    for _ in range(ROUNDS):
        attempts = prepared(office, rng, WRITES)

        def stop(attempts: Any = attempts) -> None:
            def under_way() -> bool:
                return sum(it.outcome == "acked" for it in attempts) > WRITES // 3

            wait_for(under_way, "writing to be under way")
            os.kill(installation.postmaster(), signal.SIGQUIT)
            installation.healthy_again()

        with meanwhile(stop):
            send(office, attempts)
        everything_holds(installation.database(), office, attempts, records)
