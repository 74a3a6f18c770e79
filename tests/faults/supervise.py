"""`zeroinvoice serve` with another program in the place of its own: the words it is called with.

python supervise.py python -P sabotaged.py
"""

import sys

from zeroinvoice.serve import serve
from zeroinvoice.settings import Settings

if __name__ == "__main__":
    sys.exit(serve(Settings.from_env(), program=sys.argv[1:]))
