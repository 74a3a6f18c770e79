"""What tests of policies share: processes that follow one."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.policies.policy import Policy
from zeroinvoice.policies.runner import Follower


@pytest.fixture
def following(house: Any) -> Callable[[Policy], AbstractContextManager[None]]:
    """Follows a policy as a process of its own would, until the block ends."""

    @contextmanager
    def follow(policy: Policy) -> Iterator[None]:
        url = conninfo(house.database_url, WORK_ROLE, application="policy test")
        loop = asyncio.new_event_loop()
        task = loop.create_task(Follower(policy, url, house.clock).run())

        def run() -> None:
            with pytest.raises(asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            until = time.monotonic() + 15
            while thread.is_alive() and time.monotonic() < until:
                if not loop.is_closed():  # a mail library may take one cancellation for its own
                    loop.call_soon_threadsafe(task.cancel)
                thread.join(0.5)
            assert not thread.is_alive()

    return follow
