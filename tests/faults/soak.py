"""A soak: a steady load for a long time, with a fault every twenty seconds, and what it wears."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from checks import everything_holds, resolve
from installation import Installation
from offices import Office, at_once, meanwhile
from operations import Attempt, prepared
from records import Records
from rounds import kill
from vitals import Vitals

from zeroinvoice.journal.store import Lost

PER_S = 50  # writes
FAULT_EVERY = 20.0  # seconds
AHEAD = 20  # seconds for which operations are prepared at a time
FAULTS = ("api", "work", "postmaster", "backend", "policies", "stop work", "sessions")
STEEPEST = 1.0  # MB a minute
WARM = 0.25  # of the time, after which a process has what it needs in its caches


@dataclass
class Soaked:
    minutes: float
    writes: int = 0
    acked: int = 0
    refused: int = 0
    unknown: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    slopes: dict[str, float] = field(default_factory=dict)  # MB a minute, of what lived all along
    files: dict[str, float] = field(default_factory=dict)  # by how many more at the end
    memory: dict[str, float] = field(default_factory=dict)  # MB, at the end
    slowest_recovery: float = 0.0  # seconds
    facts: int = 0


def soak(installation: Installation, office: Office, rng: random.Random, minutes: float) -> Soaked:
    """So many minutes of it. One API process, one worker and one policies process are spared.

    They are started by hand beside the supervised ones, take their share of everything but
    the kills, and show what time does to a process.
    """
    spared = {
        word: process.pid
        for word, process in zip(
            ("api", "work", "policies"),
            installation.start_by_hand("api", "work", "policies"),
            strict=True,
        )
    }
    seen, vitals, records = Soaked(minutes), Vitals(), Records()
    over, begun = threading.Event(), time.monotonic()

    def minute() -> float:
        return (time.monotonic() - begun) / 60

    def faults() -> None:
        number = 0
        while not over.wait(FAULT_EVERY):
            fault = FAULTS[number % len(FAULTS)]
            number += 1
            seen.faults[fault] = seen.faults.get(fault, 0) + 1
            strike(installation, fault, rng, set(spared.values()))
            recovery = installation.healthy_again()
            seen.slowest_recovery = max(seen.slowest_recovery, recovery)

    def watch() -> None:
        while not over.wait(5):
            vitals.look(minute(), spared.values())

    with meanwhile(faults), meanwhile(watch), ThreadPoolExecutor(1) as clerk:
        try:
            chance = random.Random(rng.random())
            coming = clerk.submit(_prepared, installation, office, chance)
            checked: Future[None] | None = None
            while minute() < minutes:
                some = coming.result()
                coming = clerk.submit(_prepared, installation, office, chance)
                _send(office, some)
                if checked is not None:
                    checked.result()  # raises what did not hold
                checked = clerk.submit(_settle, installation, office, records, some, seen)
            if checked is not None:
                checked.result()
        finally:
            over.set()
    installation.healthy_again()
    everything_holds(installation.database(), office, [], records)
    seen.facts = records.position
    after = minutes * WARM
    for word, pid in spared.items():
        seen.slopes[word] = round(vitals.memory_slope(pid, after), 2)
        seen.files[word] = vitals.files_grown(pid, after)
        seen.memory[word] = vitals.memory(pid)
    return seen


def strike(installation: Installation, fault: str, rng: random.Random, spared: set[int]) -> None:
    """One fault, to whoever is not spared."""
    if fault == "sessions":
        installation.terminate("zeroinvoice%")
    elif fault in ("postmaster", "backend"):
        kill(installation, fault, rng)
    else:
        word = fault.removeprefix("stop ")
        pids = [pid for pid in installation.pids(word) if pid not in spared]
        if pids:
            with contextlib.suppress(ProcessLookupError):
                if fault == word:
                    os.kill(rng.choice(pids), signal.SIGKILL)
                else:
                    os.kill(pids[0], signal.SIGSTOP)
                    time.sleep(rng.uniform(1, 8))
                    os.kill(pids[0], signal.SIGCONT)


def _prepared(installation: Installation, office: Office, rng: random.Random) -> list[Attempt]:
    """The next operations; what they need is recorded again when a fault came between."""
    while True:
        try:
            return prepared(office, rng, PER_S * AHEAD)
        except Exception as fault:  # whatever a fault does to the clerk, who has no journal
            print(f"  the clerk begins again: {type(fault).__name__}", flush=True)
            installation.healthy_again(20)


def _send(office: Office, attempts: list[Attempt]) -> None:
    """At their pace, from as many threads as it takes."""
    begun = time.monotonic()

    def due(http: object, number: int) -> None:
        time.sleep(max(0.0, begun + number / PER_S - time.monotonic()))
        attempts[number].carry_out(http, office.journal)  # type: ignore[arg-type]

    at_once([lambda http, n=n: due(http, n) for n in range(len(attempts))], office, 16)


def _settle(
    installation: Installation,
    office: Office,
    records: Records,
    attempts: list[Attempt],
    seen: Soaked,
) -> None:
    """Count some attempts, and check that each has its one effect or none."""
    outcomes = [it.outcome for it in attempts]
    seen.writes += len(attempts)
    seen.acked += outcomes.count("acked")
    seen.refused += outcomes.count("refused")
    seen.unknown += outcomes.count("unknown")
    installation.healthy_again(20)
    resolve(office, [it for it in attempts if it.outcome == "unknown"])
    while True:
        try:
            records.read(installation.database(), installation.masters)
            break
        except Lost:  # the next fault met whoever reads; what was read is kept
            installation.healthy_again(20)
    for it in attempts:
        effects = it.operation.effects(records.marked.pop(it.mark, Counter()))
        assert effects == (1 if it.operation.effect else 0), f"{it.told} and has {effects} effects"
