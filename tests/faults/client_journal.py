"""What a careful client writes down before and after each request, synced to disk."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import httpx

State = Literal["sent", "acked", "refused", "unknown"]


class ClientJournal:
    """One line a note: which request, under which key, and what is known of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def note(self, mark: str, state: State) -> None:
        line = json.dumps({"key": mark, "state": state}).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            os.fdatasync(self._file.fileno())

    def outcomes(self) -> Mapping[str, State]:
        """The last that was written down of each request, read back from the disk."""
        lines = map(json.loads, self._path.read_text().splitlines())
        return {line["key"]: line["state"] for line in lines}


def known(answer: httpx.Response | None) -> State:
    """What an answer, or none, tells. A 503 or a broken connection tells nothing."""
    if answer is None or answer.status_code in (429, 503):
        return "unknown"
    assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return "acked" if answer.is_success else "refused"
