"""The bench's table, and the machine it was measured on."""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from contests import Contest, Row, Sample

Samples = Mapping[str, Sequence[Sample]]
"""What each contestant of one contest gave, round by round."""

NONE = "–"
HEAD = """# Benchmarks

`make bench` runs everything on a throw-away Postgres (fsync on) and writes this page anew; only
`benchmarks-notes.md`, which stands at its end, is kept by hand. Ours and the yardsticks take turns
in one run, and only their ratios mean anything on another machine.
`python tests/bench/run.py --only writes` runs a part, `--quick` sees in minutes that all works.
"""
UNITS = {"per_s": "/s", "s": "s", "ms": "ms", "mb": "MB"}


def machine(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        version = connection.info.parameter_status("server_version")
    cores = len(os.sched_getaffinity(0))
    return [
        f"date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"processor: {_processor()}, {cores} cores, {_memory_gib():.0f} GiB",
        f"kernel: {platform.system()} {platform.release()}",
        f"Postgres: {version}, fsync on, checksums on",
        f"Python: {platform.python_version()}",
        f"fdatasync of one 8 kB block: {_fdatasync_us():.0f} µs",
    ]


def verdicts(contest: Contest, samples: Samples) -> list[tuple[Row, list[str], bool | None]]:
    """Each row with its cells, and whether its bar was reached: None if that cannot be said."""
    return [(row, *_judge(row, samples)) for row in contest.rows]


def table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that also reads well as it is; the first row is its head."""
    head, *rest = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in [head, *rest]) for column in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rest]
    lines.insert(0, [cell.ljust(width) for cell, width in zip(head, widths, strict=True)])
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def comparison(results: Mapping[Contest, Samples]) -> str:
    rows = [["measure", "ours", "yardstick", "ratio", "bar", "reached"]]
    for contest, samples in results.items():
        rows += [[row.measure, *cells] for row, cells, _ in verdicts(contest, samples)]
    return table(rows)


def contestants(results: Mapping[Contest, Samples]) -> str:
    """Every contestant by itself: the median of its rounds, and how far they lay apart."""
    rows = [["contest", "contestant", "figure", "median", "lowest", "highest"]]
    for contest, samples in results.items():
        for name, turns in samples.items():
            for figure in turns[0].figures:
                values = [turn.figures[figure] for turn in turns]
                extremes = [_shown(value, figure) for value in (min(values), max(values))]
                median = _shown(statistics.median(values), figure)
                rows.append([contest.name, name, figure, median, *extremes])
    return table(rows)


def document(
    results: Mapping[Contest, Samples], about: Sequence[str], rounds: int, notes: str
) -> str:
    """The whole page: how to run it, on what it ran, the comparison, the spread, and the notes."""
    facts = "\n".join(f"- {line}" for line in about)
    contests = "\n".join(f"- `{it.name}`: {it.about}" for it in results)
    return (
        f"{HEAD}\n## The machine\n\n{facts}\n- medians of {rounds} interleaved rounds (`memory`: "
        f"one); load, server and database share the cores\n\n## Ours against the yardsticks\n\n"
        f"{comparison(results)}\n\n{contests}\n\n## Every contestant, and how far its rounds lay "
        f"apart\n\n{contestants(results)}\n{notes and chr(10)}{notes}"
    )


def _judge(row: Row, samples: Samples) -> tuple[list[str], bool | None]:
    ours = _median(samples.get(row.ours), row.figure)
    theirs = _median(samples.get(row.yardstick or ""), row.figure)
    ratio = ours / theirs if ours is not None and theirs else None
    judged = ratio if row.yardstick else ours
    reached = None
    if judged is not None and row.bar is not None:
        reached = judged <= row.bar if row.at_most else judged >= row.bar
    quoted = any(sample.quoted for sample in samples.get(row.yardstick or "", ()))
    yardstick = f"{row.yardstick} {_shown(theirs, row.figure)}" if row.yardstick else NONE
    cells = [
        _shown(ours, row.figure),
        f"{yardstick} (quoted)" if quoted else yardstick,
        NONE if ratio is None else f"{ratio:.2f}",
        _bar(row),
        {True: "yes", False: "no", None: NONE}[reached],
    ]
    return cells, reached


def _bar(row: Row) -> str:
    if row.bar is None:
        return NONE
    value = f"{row.bar:g}" if row.yardstick else _shown(row.bar, row.figure)
    return f"{'≤' if row.at_most else '≥'} {value}"


def _median(turns: Sequence[Sample] | None, figure: str) -> float | None:
    return statistics.median(turn.figures[figure] for turn in turns) if turns else None


def _shown(value: float | None, figure: str) -> str:
    if value is None:
        return NONE
    unit = UNITS["per_s" if figure == "per_s" else figure.rpartition("_")[2]]
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _fdatasync_us() -> float:
    """The median time to make one block durable, where the throw-away Postgres lies too."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(200):
            os.pwrite(file.fileno(), os.urandom(8_192), 0)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1_000_000
