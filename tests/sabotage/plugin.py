"""What pytest loads to run a test on the sabotaged program: `SABOTAGE=S3 pytest -p …`."""

import os
import shlex
import sys
from pathlib import Path

from tests.sabotage.switches import SABOTAGES

NAME = os.environ["SABOTAGE"]

SABOTAGES[NAME].switch(setattr)
if SABOTAGES[NAME].processes:  # which the harness then starts in the place of ours
    launcher = Path(__file__).with_name("launch.py")
    os.environ["FAULT_PROGRAM"] = shlex.join([sys.executable, "-P", str(launcher)])
