"""The README's tour runs as printed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

README = (Path(__file__).parents[2] / "README.md").read_text()
ITSELF = shlex.join([sys.executable, "-P", "-m", "zeroinvoice"])
PROGRAM = f'zeroinvoice() {{ {ITSELF} "$@"; }}\n'


def played(installation: Any, folder: Path, *parts: str) -> list[str]:
    """What the marked parts of the README print, run one after the other."""
    said = "".join(
        re.search(rf"<!-- {part} -->\n```sh\n(.*?)```", README, re.DOTALL)[1]  # type: ignore[index]
        for part in parts
    )
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", PROGRAM + said],
        env={**installation.env, "PORT": str(installation.port)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()


def test_the_five_minute_tour_runs_as_printed(installation: Any, tmp_path: Path) -> None:
    number, *payments, status, found, last = played(installation, tmp_path, "tour")[-7:]
    assert re.search(r"INV-\d{4}-00001$", number)
    assert len(set(payments)) == 1
    assert (status, last) == ("paid", "InvoicePaymentApplied")
    assert found == number[-len(found) :]


def test_the_tour_of_the_journal_runs_as_printed(installation: Any, tmp_path: Path) -> None:
    """Blame, the past, explanations, what-if, proofs and erasure."""
    lines = played(installation, tmp_path, "tour", "witness")
    path, balance, formula, difference, proven, years, name = lines[-7:]
    assert path
    assert (balance, difference) == ("0.00", "1500.00")
    assert formula.startswith("payable ")
    assert proven == "1 proofs: all hold."
    assert (years, name) == ("0", "[erased]")


def test_the_operators_lines_run_as_printed(installation: Any, tmp_path: Path) -> None:
    lines = played(installation, tmp_path, "operator")
    assert sum(line.endswith(": all hold.") for line in lines) == 2
    assert any("as the journal has them" in line for line in lines)
    assert any(line.startswith("Rebuilt: ") for line in lines)
