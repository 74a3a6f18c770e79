"""Who keeps a read model: one worker at a time, exactly once, in order, whoever stops and wakes."""

import os
import random
import signal
import threading
import time
from typing import Any

import psycopg
from barriers import await_blocked, head, wait_for
from checks import dump, money, numbers, rebuilt_alike, settled, whole
from figures import say
from followers import counted, projector
from operations import prepared
from records import Records
from rounds import send

from zeroinvoice.worker import Worker

STOPPED_FOR = 9.0  # seconds, beyond the 5 after which the database ends an idle transaction
FACTS, RESTARTS = 20_000, 3


def test_a_worker_that_stops_inside_its_transaction_is_replaced_and_writes_nothing(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G6: the other one takes over within 6 s; the one that wakes has lost its claim."""
    installation = install(api_processes=1)
    url = installation.database()
    (first,) = installation.start_by_hand("work")
    installation.start_by_hand("api")
    office = open_office(installation)
    settled(url)
    with psycopg.connect(url) as obstacle:
        obstacle.execute("LOCK TABLE invoices_1.invoices IN EXCLUSIVE MODE")
        send(office, prepared(office, rng, 20, "draft invoice"))
        await_blocked(url, "zeroinvoice work")  # it has the claim, and waits to write
        os.kill(first.pid, signal.SIGSTOP)
    stopped_at = time.monotonic()
    installation.start_by_hand("work")
    settled(url, within=6 - (time.monotonic() - stopped_at))
    taken_over = time.monotonic() - stopped_at
    send(office, prepared(office, rng, 200))
    settled(url)
    before = dump(url)
    time.sleep(max(0.0, STOPPED_FOR - (time.monotonic() - stopped_at)))
    os.kill(first.pid, signal.SIGCONT)
    send(office, prepared(office, rng, 200))
    settled(url)
    assert first.poll() is None, "it goes on, with a new claim"
    assert before["invoices.invoices"] != dump(url)["invoices.invoices"]
    records = Records().read(url)
    money(records, url)
    numbers(records)
    rebuilt_alike(url, installation.masters)
    say(f"taken over after {taken_over:.1f} s")


def test_a_read_model_has_every_fact_once_and_in_order_through_restarts_of_its_workers(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G6, G7: 20,000 facts, two workers that come and go, their sessions ended on the way."""
    installation = install()
    url = installation.database()
    office = open_office(installation)
    needed, made = FACTS, threading.Event()

    def write() -> None:
        while head(url) < needed:
            prepared(office, rng, 500)
        made.set()

    writing = threading.Thread(target=write)
    writing.start()
    restarts = 0
    while not made.is_set() or restarts < RESTARTS:
        workers = [Worker(url, (projector,), installation.masters) for _ in range(2)]
        threads = [threading.Thread(target=it.run) for it in workers]
        for thread in threads:
            thread.start()
        made.wait(2)
        installation.terminate("zeroinvoice work", rng)
        time.sleep(0.3)
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join()
        restarts += 1
    writing.join()
    last = Worker(url, (projector,), installation.masters)
    thread = threading.Thread(target=last.run)
    thread.start()
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(lambda: counted(connection) >= head(url), "the last facts", 30)
        (error,) = connection.execute("SELECT error FROM checkpoints").fetchone() or (None,)
        assert error is None
        assert counted(connection) == head(url) == whole(url) >= FACTS
    last.stop()
    thread.join()
    say(f"{head(url)} facts, {restarts} restarts of two workers")
