"""Rounds: operations from the table, mixed by the seed, while something is killed."""

import random
import time
from dataclasses import dataclass

from checks import everything_holds
from installation import Installation
from offices import Office, at_once, meanwhile
from operations import Attempt, prepared
from records import Records

VICTIMS = ("api", "work", "postmaster", "backend", "policies")
THREADS = 8


@dataclass
class Figures:
    """What was seen of all rounds together."""

    rounds: int = 0
    writes: int = 0
    acked: int = 0
    refused: int = 0
    unknown: int = 0
    lost: int = 0  # acknowledged and not there; the checks raise before it could be more
    doubled: int = 0
    slowest_recovery: float = 0.0  # seconds until healthy again
    facts: int = 0


def crash_rounds(
    installation: Installation, office: Office, rng: random.Random, rounds: int, writes: int
) -> Figures:
    """Rounds of writes, each with a kill -9 at a random moment; everything must hold after each."""
    seen, records = Figures(), Records()

    def strike(victim: str) -> None:
        time.sleep(rng.uniform(0.02, 0.4))
        kill(installation, victim, rng)
        seen.slowest_recovery = max(seen.slowest_recovery, installation.healthy_again())

    for number in range(rounds):
        attempts = prepared(office, rng, writes, timed=True)
        victim = VICTIMS[number % len(VICTIMS)]
        with meanwhile(lambda victim=victim: strike(victim)):
            send(office, attempts)
        outcomes = [it.outcome for it in attempts]
        everything_holds(installation.database(), office, attempts, records)
        seen.rounds += 1
        seen.writes += writes
        seen.acked += outcomes.count("acked")
        seen.refused += outcomes.count("refused")
        seen.unknown += outcomes.count("unknown")
    seen.facts = records.position
    return seen


def send(office: Office, attempts: list[Attempt], threads: int = THREADS) -> None:
    """Carry all of them out, once, from several threads."""
    acts = [lambda http, it=it: it.carry_out(http, office.journal) for it in attempts]
    at_once(acts, office, threads)


def kill(installation: Installation, victim: str, rng: random.Random) -> None:
    """kill -9 of one process, or the end of one of the database's sessions."""
    if victim == "backend":
        installation.terminate("zeroinvoice%", rng)
    else:
        installation.kill(victim, rng)
