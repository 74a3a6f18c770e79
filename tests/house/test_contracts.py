"""The floors: imports only go down, and the checker really notices when they do not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--config", "pyproject.toml", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{root}/src:{root}", "PATH": "/usr/bin:/bin"},
        timeout=120,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and the contracts, to be broken."""
    for name in ("src", "commands", "projections"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_kept() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("contract", "file", "line"),
    [
        (
            "Imports only go down the floors",
            "src/zeroinvoice/domain/invoice.py",
            "import zeroinvoice.http.problems",
        ),
        (
            "The business knows no framework",
            "src/zeroinvoice/domain/invoice.py",
            "import psycopg",
        ),
        (
            "Only the journal knows the event store's library",
            "projections/invoices.py",
            "import eventsourcing",
        ),
        (
            "Commands do not know each other",
            "commands/invoices.py",
            "import commands.clients",
        ),
    ],
)
def test_a_broken_contract_is_noticed(copy: Path, contract: str, file: str, line: str) -> None:
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    checked = lint(copy)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert f"{contract} BROKEN" in checked.stdout
