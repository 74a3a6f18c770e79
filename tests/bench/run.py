"""Measure ours against the yardsticks, in turns, and print one table.

python tests/bench/run.py [--only NAME ...] [--rounds 5] [--quick] [--out FILE]
"""

import argparse
import signal
import sys
from pathlib import Path

import growing  # noqa: F401 - registers its contests
import measures  # noqa: F401 - as above
import witness  # noqa: F401 - as above
from cluster import cluster
from contests import Bench, Contest, Sample, registry
from report import Samples, comparison, contestants, document, machine, verdicts
from serving import DEFAULT_SERVER, SERVERS


def run(contest: Contest, bench: Bench, rounds: int) -> Samples:
    """Let the contestants take turns, so that a slow minute of the machine is slow for all."""
    samples: dict[str, list[Sample]] = {}
    rounds = 1 if contest.once else rounds
    with contest.enter(bench) as turns:
        for number in range(1, rounds + 1):
            for name, turn in turns.items():
                print(f"{contest.name} {number}/{rounds}: {name}", file=sys.stderr, flush=True)
                samples.setdefault(name, []).append(turn())
    return samples


def chosen(names: list[str]) -> list[Contest]:
    if not names:
        return [contest for contest in registry.contests.values() if not contest.only_asked]
    return [registry.contests[name] for name in names]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], choices=list(registry.contests))
    parser.add_argument("--rounds", type=int, help="turns of each contestant (5; quick: 2)")
    parser.add_argument("--seconds", type=float, help="length of a turn (4; quick: 1)")
    parser.add_argument("--facts", type=int, help="size of the journals (300000; quick: 20000)")
    parser.add_argument("--many", type=int, help="and of the largest (1000000; quick: 30000)")
    parser.add_argument("--quick", action="store_true", help="see that it works; proves nothing")
    parser.add_argument("--server", choices=SERVERS, default=DEFAULT_SERVER)
    parser.add_argument("--out", type=Path, help="write the page, with FILE-notes.md at its end")
    return parser.parse_args()


def main() -> int:
    """Return 1 if a bar was measured and not reached."""
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleared away
    rounds = asked.rounds or (2 if asked.quick else 5)
    results: dict[Contest, Samples] = {}
    with cluster() as url:
        bench = Bench(
            url=url,
            seconds=asked.seconds or (1.0 if asked.quick else 4.0),
            facts=asked.facts or (20_000 if asked.quick else 300_000),
            many=asked.many or (30_000 if asked.quick else 1_000_000),
            server=asked.server,
        )
        about = machine(url)
        for contest in chosen(asked.only):
            results[contest] = run(contest, bench, rounds)
    print(*about, "", comparison(results), "", contestants(results), sep="\n")
    if asked.out:
        beside = asked.out.with_name(f"{asked.out.stem}-notes.md")
        notes = beside.read_text() if beside.exists() else ""
        asked.out.write_text(document(results, about, rounds, notes))
    judged = [verdict for contest in results for verdict in verdicts(contest, results[contest])]
    return 1 if any(reached is False for _, _, reached in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
