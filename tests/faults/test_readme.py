"""The README's tour runs as printed."""

import re
import subprocess
from pathlib import Path
from typing import Any

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_five_minute_tour_runs_as_printed(installation: Any) -> None:
    (tour,) = re.findall(r"<!-- tour -->\n```sh\n(.*?)```", README, re.DOTALL)
    played = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour],
        env={**installation.env, "PORT": str(installation.port)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    lines = played.stdout.splitlines()
    number, *payments, status, found, last = lines[-7:]
    assert re.search(r"INV-\d{4}-00001$", number)
    assert len(set(payments)) == 1
    assert (status, last) == ("paid", "InvoicePaymentApplied")
    assert found == number[-len(found) :]
