from collections.abc import Iterator

import pytest

from tests.journal.shelves import Shelf, WatchedMemory, in_postgres
from zeroinvoice.journal.recorder import MemoryFactRecorder


@pytest.fixture(params=["memory", "postgres"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    if request.param == "memory":
        recorder = MemoryFactRecorder()
        made = Shelf(lambda: WatchedMemory(recorder), recorder.insert_events)
    else:
        made = in_postgres(request.getfixturevalue("new_database")())
    yield made
    made.close()
