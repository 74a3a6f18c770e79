"""Merging while the duplicate is written to: each record lands before it, or is refused."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

HANDS = 24


@pytest.mark.parametrize("turn", range(5))
def test_what_arrives_while_clients_are_merged_is_moved_or_refused(pair: Any, turn: int) -> None:
    """G14: nothing is left with a client that takes nothing any more."""
    shop = pair.shop
    owed = shop.invoice(pair.gone, "1000.00")
    line = {"description": "Work", "unit_price": "1"}
    body = {"client_id": pair.gone, "line_items": [line]}
    calls = [
        *[partial(pair.office.post, "/api/invoices", json=body)] * HANDS,
        *[
            partial(shop.pay, _key=f"{turn}-{n}", client_id=pair.gone, amount="1")
            for n in range(HANDS)
        ],
        *[
            partial(shop.pay, _key=f"{turn}-{n}-owed", invoice_id=owed, amount="1")
            for n in range(HANDS)
        ],
    ]
    calls.insert(len(calls) * turn // 5, pair.merge)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda call: call(), calls))
    made = next(it.json() for it in answers if it.status_code == 200)
    told = Counter(it.status_code for it in answers)
    refused = [it.json()["code"] for it in answers if it.status_code == 409]
    assert set(refused) <= {"client_merged"}
    assert told[200] == 1
    assert told[200] + told[201] + told[409] == len(calls)
    kinds = Counter(it.json().get("billed_to") is None for it in answers if it.status_code == 201)
    assert len(pair.invoices(pair.keep)) == made["moved"]["invoices"] == kinds[False] + 1
    payments = pair.get(f"/api/payments/client/{pair.keep}?limit=200")["items"]
    assert len(payments) == kinds[True] >= HANDS
    assert shop.balance(owed) == ("sent", f"{1000 - HANDS}.00")
    pair.undone(made)
    back = pair.get(f"/api/payments/client/{pair.gone}?limit=200")["items"]
    assert {it["id"] for it in back} == {it["id"] for it in payments}
    assert pair.invoices(pair.keep) == []
