"""The main job, played by its script against a real installation."""

import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[1] / "journey" / "main_job.py"


def test_the_main_job_is_done_from_end_to_end(installation: Any) -> None:
    played = subprocess.run(
        [sys.executable, SCRIPT, installation.url],
        env=installation.env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    print(played.stdout)
    assert played.returncode == 0, played.stdout + played.stderr[-3000:]
