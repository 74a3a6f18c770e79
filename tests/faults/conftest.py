"""What tests of faults share: one seed, and an installation to break."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from figures import SEEN
from installation import SEED, Installation, folder
from offices import Office


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what was seen, whether or not anything failed."""
    if SEEN:
        terminalreporter.section(f"figures (FAULT_SEED={SEED})")
        for line in SEEN:
            terminalreporter.write_line(line)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """One seed for all, and for each test numbers of its own."""
    print(f"FAULT_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """A served installation, which every test leaves whole for the next."""
    with folder() as data:
        it = Installation(data)
        it.start()
        try:
            yield it
        finally:
            it.stop()
            it.release()


@pytest.fixture(scope="session")
def office(installation: Installation) -> Office:
    return Office(installation)


@pytest.fixture
def open_office() -> Callable[..., Office]:
    """Opens an office anywhere."""
    return Office


@pytest.fixture
def install() -> Iterator[Callable[..., Installation]]:
    """Makes an installation of the test's own, whose processes are started by hand."""
    with contextlib.ExitStack() as ending:

        def installed(**options: Any) -> Installation:
            it = Installation(ending.enter_context(folder()), **options)
            ending.callback(it.release)
            ending.callback(it.stop)
            it.migrate()
            return it

        yield installed
