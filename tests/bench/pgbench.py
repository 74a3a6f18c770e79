"""The yardstick pgbench: what this Postgres can commit when nobody thinks."""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psycopg
from bodies import FACTS, drafted
from cluster import installed

# pgbench takes a colon before a letter for a variable; in JSON one stands before a quote only.
SCRIPT = r"""\set tenant random(1, 8)
INSERT INTO facts (tenant_id, stream, version, topic, state, hash) VALUES (
    ('00000000-0000-7000-8000-00000000000' || :tenant)::uuid, STREAM, 1, 'Drafted',
    'STATE', '\xHASH'
);
"""


def prepare(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(FACTS)


def commits(url: str, seconds: float, clients: int = 16) -> float:
    """Insert the journal's rows, one a transaction; commits/s."""
    with psycopg.connect(url) as connection:
        ordered = connection.info.server_version >= 180_000
    values = {
        "STREAM": "uuidv7()" if ordered else "gen_random_uuid()",
        "STATE": msgspec.json.encode(drafted(1)).decode().ljust(400),
        "HASH": "5a" * 32,
    }
    script = SCRIPT
    for name, value in values.items():
        script = script.replace(name, value)
    parts = urlsplit(url)
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        program = Path(folder, "insert.sql")
        program.write_text(script)
        whole_seconds = str(max(1, round(seconds)))
        ran = subprocess.run(
            [
                *(installed() / "pgbench", "--no-vacuum", "--protocol", "prepared"),
                *("--client", str(clients), "--jobs", "1", "--time", whole_seconds),
                *("--file", program, "--host", parts.hostname or "", "--port", str(parts.port)),
                *("--username", parts.username or "", parts.path.lstrip("/")),
            ],
            env={**os.environ, "PGPASSWORD": parts.password or ""},
            capture_output=True,
            text=True,
            timeout=seconds + 30,
        )
    rate = re.search(r"^tps = ([0-9.]+)", ran.stdout, re.MULTILINE)
    if ran.returncode != 0 or rate is None:
        raise RuntimeError(f"pgbench failed: {ran.stdout[-500:]} {ran.stderr[-500:]}")
    return float(rate.group(1))
