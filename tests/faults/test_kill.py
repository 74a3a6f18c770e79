"""kill -9 of anything, while writing: no acknowledged write is lost, none is doubled (G1, G2)."""

import os
import random
import signal
import time
from typing import Any

import httpx

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "15"))
WRITES = int(os.environ.get("FAULT_WRITES", "400"))
VICTIMS = ("api", "work", "postmaster", "backend")


def strike(installation: Any, victim: str, rng: random.Random) -> None:
    """Kill one process of the installation at a random moment of the round."""
    time.sleep(rng.uniform(0.02, 0.25))
    if victim == "postmaster":
        pid: int | None = installation.postmaster()
    elif victim == "backend":
        pid = installation.backend(rng)
    else:
        children = installation.children(victim)
        pid = rng.choice(children) if children else None
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def healthy_again(installation: Any, within: float = 10.0) -> None:
    until = time.monotonic() + within
    while not installation.healthy():
        assert time.monotonic() < until, f"not healthy again within {within} s"
        time.sleep(0.05)


def test_kill_9_loses_and_doubles_nothing(
    installation: Any, office: Any, checks: Any, rng: random.Random
) -> None:
    """G1: rounds of writes with a kill in each. G2: replaying a key resolves every unknown."""
    acked = unknown = 0
    for round_ in range(ROUNDS):
        victim = VICTIMS[round_ % len(VICTIMS)]
        operations = [office.operation() for _ in range(WRITES)]
        office.carry_out_all(operations, meanwhile=lambda v=victim: strike(installation, v, rng))
        healthy_again(installation)
        url = installation.database()
        effects = checks.effects(url, office.tenant)
        for it in operations:
            seen = effects.get(it.id, 0)
            if it.outcome == "acked":
                assert seen == 1, f"an acknowledged write has {seen} effects"
            elif it.outcome == "refused":
                assert seen == 0, "a refused write had an effect"
            else:
                assert seen <= 1, "a write whose outcome is unknown was doubled"
        acked += sum(it.outcome == "acked" for it in operations)
        unresolved = [it for it in operations if it.outcome == "unknown"]
        unknown += len(unresolved)
        resolve(office, unresolved)
        effects = checks.effects(url, office.tenant)
        assert all(effects.get(it.id) == 1 for it in operations)
        checks.settled(url)
    assert checks.whole(url) >= ROUNDS * WRITES
    checks.rebuilt_alike(url)
    print(f"{ROUNDS} rounds of {WRITES} writes: {acked} acknowledged, {unknown} unknown, resolved")
    assert acked > ROUNDS * WRITES / 2


def resolve(office: Any, operations: list[Any]) -> None:
    """Repeat what is unknown under its key until there is an answer."""
    until = time.monotonic() + 20
    with httpx.Client(timeout=8) as http:
        for it in operations:
            while it.outcome != "acked":
                assert time.monotonic() < until, "an unknown outcome does not resolve"
                office.carry_out(http, it)


def test_kill_9_of_everything_and_a_new_start_lose_nothing(
    installation: Any, office: Any, checks: Any, rng: random.Random
) -> None:
    operations = [office.operation() for _ in range(WRITES)]

    def all_at_once() -> None:
        time.sleep(rng.uniform(0.05, 0.2))
        pids = [installation.process.pid, installation.postmaster()]
        pids += [pid for word in ("api", "work", "policies") for pid in installation.children(word)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        installation.process.wait()

    office.carry_out_all(operations, meanwhile=all_at_once)
    installation.start()
    url = installation.database()
    effects = checks.effects(url, office.tenant)
    assert all(effects.get(it.id) == 1 for it in operations if it.outcome == "acked")
    resolve(office, [it for it in operations if it.outcome == "unknown"])
    effects = checks.effects(url, office.tenant)
    assert all(effects.get(it.id) == 1 for it in operations)
    checks.settled(url)
    checks.whole(url)
