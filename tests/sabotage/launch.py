"""The command line interface of the sabotaged program: `SABOTAGE=S15 python launch.py api`."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.sabotage.switches import SABOTAGES

    SABOTAGES[os.environ["SABOTAGE"]].switch(setattr)

    from zeroinvoice.cli import main

    main()
