"""The harness's own care: it breaks what is its own, and another program can take our place."""

import sys
from pathlib import Path
from typing import Any

import pytest
from installation import Installation, folder

# Our program by another name: what was sabotaged is called like this.
OTHER = (sys.executable, "-P", "-c", "from zeroinvoice.cli import main; main()")


def test_another_program_takes_our_place_supervised_and_by_hand() -> None:
    with folder() as data:
        it = Installation(data, program=OTHER, api_processes=1)
        it.start()
        try:
            it.start_by_hand("work")
            for word, count in (("api", 1), ("work", 2), ("policies", 1)):
                pids = it.pids(word)
                assert len(pids) == count
                commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
                assert all(b"from zeroinvoice.cli" in command for command in commands)
        finally:
            it.stop()
            it.release()


def test_a_cluster_that_is_not_ours_is_not_touched(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is made in it or done to it."""
    with folder() as data:
        it = Installation(data)

        def elsewhere(*_: Any) -> str:
            return database_url

        monkeypatch.setattr(it._postgres, "start", elsewhere)
        (it.settings.postgres_dir / "cluster").mkdir(parents=True)
        for act in (it.database, it.migrate, it.start, lambda: it.terminate("zeroinvoice%")):
            with pytest.raises(AssertionError, match="is not ours"):
                act()
        assert not it.by_hand
