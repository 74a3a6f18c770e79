"""The long part of the faults: stage by stage, each with its figures in a file of its own.

    make crash S="--stages rounds,soak --soak-minutes 5"

A stage that held with this seed and these sizes is not run again, unless `--again` says so; so
what was broken off goes on where it stopped.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crowd import MOST_GROWTH, NORMAL_WITHIN, SLOWEST_HEALTH, SLOWEST_P99, crowd
from installation import Installation, folder
from offices import Office
from outages import Seen, assert_borne, black_hole, sessions_ended, stopped
from proxy import Proxy
from rebuilding import LONGEST_LOCK, rebuilding
from rounds import crash_rounds
from soak import STEEPEST, soak

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
Figures = dict[str, Any]
Sizes = argparse.Namespace


def rounds(sizes: Sizes, rng: random.Random) -> Figures:
    """G1, G2, G15: kill -9 of anything."""
    with folder() as data, served(data) as installation:
        office = Office(installation)
        return asdict(crash_rounds(installation, office, rng, sizes.rounds, sizes.writes))


def load(sizes: Sizes, rng: random.Random) -> Figures:
    """G20: 200 clients on 4 API processes and 2 projector workers."""
    with folder() as data, served(data, api_processes=4) as installation:
        installation.start_by_hand("work")
        seen = crowd(installation, Office(installation), rng, sizes.load_seconds)
    figures = asdict(seen)
    assert not seen.strange, figures
    assert seen.p99 <= SLOWEST_P99, figures
    assert seen.slowest_health <= SLOWEST_HEALTH, figures
    assert not seen.health_failed, figures
    assert seen.memory_growth <= MOST_GROWTH, figures
    assert seen.normal_after <= NORMAL_WITHIN, figures
    return figures


def rebuild(sizes: Sizes, rng: random.Random) -> Figures:
    """G17: with 50 writes a second and readers meanwhile."""
    with folder() as data, served(data) as installation:
        seen = rebuilding(installation, Office(installation), rng, sizes.facts)
    figures = asdict(seen)
    assert set(seen.statuses) == {200}, figures
    assert not seen.backwards, figures
    assert seen.longest_lock <= LONGEST_LOCK, figures
    return figures


def outage(sizes: Sizes, rng: random.Random) -> Figures:
    """G22: Postgres stopped, its sessions ended every second, and silent."""
    seconds, figures = sizes.outage_seconds, {}
    with folder() as data:
        installation = Installation(data)
        try:
            installation.migrate()
            with Proxy(installation.postgres_port()) as proxy:
                url = installation.over_tcp(proxy.port)
                installation.start_by_hand("api", "work", "policies", database=url)
                office = Office(installation)
                kinds: dict[str, Callable[[], Seen]] = {
                    "stopped": lambda: stopped(installation, office, rng, seconds),
                    "sessions ended": lambda: sessions_ended(
                        installation, office, rng, seconds / 2
                    ),
                    "silent": lambda: black_hole(installation, office, rng, proxy, seconds / 2),
                }
                for kind, happen in kinds.items():
                    seen = happen()
                    assert_borne(seen, installation, office)
                    figures[kind] = {
                        "statuses": dict(seen.statuses),
                        "slowest": seen.slowest,
                        "recovered_after": seen.recovered_after,
                    }
        finally:
            installation.stop()
            installation.release()
    return figures


def endurance(sizes: Sizes, rng: random.Random) -> Figures:
    """50 writes a second with a fault every 20 s."""
    with folder() as data, served(data) as installation:
        seen = soak(installation, Office(installation), rng, sizes.soak_minutes)
    figures = asdict(seen)
    assert all(it <= STEEPEST for it in seen.slopes.values()), figures
    assert all(it <= 0 for it in seen.files.values()), figures
    return figures


def quick(sizes: Sizes, rng: random.Random) -> Figures:
    """All of the quick part, with this seed."""
    return _pytest([HERE], {"FAULT_SEED": str(sizes.seed)})


def money(sizes: Sizes, rng: random.Random) -> Figures:
    """G27: 20,000 documents for each property."""
    properties = ROOT / "tests" / "properties" / "test_money_properties.py"
    return _pytest([properties], {"HYPOTHESIS_PROFILE": "crash"}, f"--hypothesis-seed={sizes.seed}")


STAGES: dict[str, tuple[Callable[[Sizes, random.Random], Figures], tuple[str, ...]]] = {
    "quick": (quick, ()),
    "rounds": (rounds, ("rounds", "writes")),
    "load": (load, ("load_seconds",)),
    "rebuild": (rebuild, ("facts",)),
    "outage": (outage, ("outage_seconds",)),
    "money": (money, ()),
    "soak": (endurance, ("soak_minutes",)),
}


class served:  # reads as what it does
    """An installation that is served while the block lasts."""

    def __init__(self, data: Path, **options: Any) -> None:
        self._installation = Installation(data, **options)

    def __enter__(self) -> Installation:
        self._installation.start()
        return self._installation

    def __exit__(self, *_: object) -> None:
        self._installation.stop()
        self._installation.release()


def _pytest(paths: list[Path], env: dict[str, str], *options: str) -> Figures:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout=0"]
    ran = subprocess.run(
        [*command, *options, *paths],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, "\n".join(lines[-60:])
    told = next((at for at, line in enumerate(lines) if "figures (FAULT_SEED" in line), len(lines))
    return {"summary": lines[-1], "seen": lines[told + 1 : -1]}


def run(name: str, sizes: Sizes, out: Path) -> bool:
    """One stage; its result is written whatever comes of it. Answers whether it held."""
    act, parts = STAGES[name]
    wanted = {part: getattr(sizes, part) for part in parts}
    file = out / f"{name}.json"
    if file.exists() and not sizes.again:
        known = json.loads(file.read_text())
        if known["held"] and (known["seed"], known["sizes"]) == (sizes.seed, wanted):
            print(f"{name}: held on {known['at']}, not run again", flush=True)
            return True
    print(f"{name}: {act.__doc__} {wanted or ''}", flush=True)
    begun, fault, figures = time.monotonic(), "", {}
    try:
        figures = act(sizes, random.Random(f"{sizes.seed} {name}"))
    except Exception as failed:  # the stage fails, the next ones are still run
        traceback.print_exc()
        fault = f"{type(failed).__name__}: {failed}"
    result = {
        "stage": name,
        "held": not fault,
        "seed": sizes.seed,
        "sizes": wanted,
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "took": round(time.monotonic() - begun, 1),  # seconds
        "fault": fault,
        "figures": figures,
    }
    file.write_text(json.dumps(result, indent=2, default=str) + "\n")
    print(f"{name}: {'held' if not fault else 'DID NOT HOLD'} ({result['took']} s)", flush=True)
    return not fault


def seed_of(given: int | None, out: Path) -> int:
    """The seed that was given, else that of a run which was broken off, else a new one."""
    kept = out / "seed"
    given = given or int(os.environ.get("FAULT_SEED", "0")) or None
    if given is None and kept.exists():
        given = int(kept.read_text())
    seed = given or random.SystemRandom().randrange(1, 2**31)
    kept.write_text(str(seed))
    return seed


def main() -> int:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--stages", default=",".join(STAGES), help="some of them, with commas")
    asked.add_argument("--seed", type=int, help="else FAULT_SEED, the last one, or a new one")
    asked.add_argument("--again", action="store_true", help="run what held before, too")
    asked.add_argument("--out", type=Path, default=ROOT / "build" / "faults")
    asked.add_argument("--rounds", type=int, default=50)
    asked.add_argument("--writes", type=int, default=400, help="in a round")
    asked.add_argument("--load-seconds", type=float, default=60)
    asked.add_argument("--soak-minutes", type=float, default=60)
    asked.add_argument("--outage-seconds", type=float, default=60)
    asked.add_argument("--facts", type=int, default=50_000, help="to be rebuilt")
    sizes = asked.parse_args()
    names = sizes.stages.split(",")
    if unknown := set(names) - set(STAGES):
        asked.error(f"there are no stages {', '.join(unknown)}; there are {', '.join(STAGES)}")
    sizes.out.mkdir(parents=True, exist_ok=True)
    sizes.seed = seed_of(sizes.seed, sizes.out)
    print(f"FAULT_SEED={sizes.seed}", flush=True)
    held = [run(name, sizes, sizes.out) for name in names]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
