"""Run each sabotage against the test that must catch it; `make sabotage` prints the table."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.sabotage.switches import SABOTAGES

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # seconds for one


@dataclass(frozen=True)
class Verdict:
    caught: bool
    why: str
    seconds: float


def run(name: str) -> Verdict:
    """Whether the named test fails, as a test and not by an accident, on the sabotaged program."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.sabotage.plugin", "-n", "0", "-x", "-q",
             f"--junitxml={report}", SABOTAGES[name].test],
            cwd=ROOT,
            env={**os.environ, "SABOTAGE": name, "HYPOTHESIS_PROFILE": "ci"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        if not report.exists():
            return Verdict(False, ended.stdout[-300:] + ended.stderr[-300:], seconds)
        cases = ElementTree.parse(report).getroot()
    failures = [it.get("message", "") for it in cases.iter("failure")]
    errors = [it.get("message", "") for it in cases.iter("error")]
    if errors or not failures:
        return Verdict(False, (errors or ["the test passes"])[0], seconds)
    return Verdict(True, failures[0], seconds)


def main(names: list[str]) -> int:
    print(f"{'':4} {'breaks':50} {'':5} {'caught':7} {'seconds':>7}  by")
    missed = 0
    for name in names or list(SABOTAGES):
        it, verdict = SABOTAGES[name], run(name)
        missed += not verdict.caught
        caught = "yes" if verdict.caught else "NO"
        test = it.test.rpartition("::")[2]
        print(
            f"{name:4} {it.breaks:50} {it.guarantee:5} {caught:7} {verdict.seconds:7.1f}  {test}\n"
            f"{'':61}{' '.join(verdict.why.split())[:140]}",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
