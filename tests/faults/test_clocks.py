"""Clocks that are wrong: order, numbers and read models never depend on what time it is."""

import random
import threading
from datetime import timedelta
from typing import Any

import psycopg
from barriers import wait_for
from checks import dump, money, numbers, rebuilt_alike, settled, whole
from followers import counted, has_table, projector
from records import Records

from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.worker import Worker

WRITES = 1_000
SKEWS = (timedelta(minutes=-10), timedelta(minutes=10))


def test_with_clocks_ten_minutes_apart_that_jump_back_an_hour_everything_holds(
    new_database: Any, open_house: Any, rng: random.Random
) -> None:
    """G25: two API processes on one journal; G5, G7 and G11 hold all the same."""
    url = new_database()
    houses = [open_house(url) for _ in SKEWS]
    office = houses[0].office()
    client = office.made("/api/clients", {"name": "Acme"})["id"]
    line = {"description": "Work", "unit_price": "10.00"}
    offices = []
    for house, skew in zip(houses, SKEWS, strict=True):
        house.clock.moved = skew
        offices.append(type(office)(house, office.tenant, office.user, office.session))
    failed: list[str] = []

    def issue(office: Any, count: int) -> None:
        for _ in range(count):
            body = {"client_id": client, "line_items": [line]}
            made = office.post("/api/invoices", json=body)
            sent = office.patch(
                f"/api/invoices/{made.json()['id']}/status", json={"status": "sent"}
            )
            if (made.status_code, sent.status_code) != (201, 200):
                failed.append(made.text + sent.text)

    def all_issue(count: int) -> None:
        threads = [threading.Thread(target=issue, args=(it, count)) for it in offices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_issue(WRITES // 8)
    houses[0].clock.moved -= timedelta(hours=1)
    offices[0] = type(office)(houses[0], office.tenant, office.user, office.session)
    all_issue(WRITES // 8)
    assert not failed, failed[0]
    settled(url)
    records = Records().read(url)  # asserts positions, versions, and time within each stream
    numbers(records)
    money(records, url)
    assert sum(map(len, records.numbers.values())) >= WRITES // 2
    assert whole(url) == records.position
    assert dump(url)
    rebuilt_alike(url, MasterKeys(houses[0].settings.master_keys))
    follower = Worker(url, (projector,), MasterKeys(houses[0].settings.master_keys))
    following = threading.Thread(target=follower.run)
    following.start()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            wait_for(lambda: has_table(connection), "its table")
            wait_for(lambda: counted(connection) == records.position, "every fact in order")
    finally:
        follower.stop()
        following.join()
