"""Credits and refunds under many hands at once: nothing is ever spent twice."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any


def at_once(calls: list[Callable[[], Any]], hands: int) -> Counter[str]:
    """What became of calls that many hands make together: by status, or by the refusal's code."""
    with ThreadPoolExecutor(hands) as pool:
        answers = list(pool.map(lambda call: call(), calls))
    return Counter("done" if it.status_code == 200 else it.json()["code"] for it in answers)


def test_a_credit_of_100_is_applied_three_times_30_by_fifty_hands(shop: Any) -> None:
    """G12 and A7-10."""
    client = shop.client()
    credit = shop.credited(client, amount="100.00")
    invoices = [shop.invoice(client) for _ in range(50)]
    calls = [partial(shop.do, credit, "apply", invoice_id=it, amount="30.00") for it in invoices]
    assert at_once(calls, 50) == {"done": 3, "exceeds_remaining": 47}
    assert shop.shown(credit)["remaining"] == "10.00"
    credited = [Decimal(shop.seen(it)["amount_credited"]) for it in invoices]
    assert sum(credited) == 90


def test_apply_and_refund_race_and_the_credit_never_falls_below_nothing(shop: Any) -> None:
    """G12: two hundred races for the same money, each with one winner."""
    client = shop.client()
    invoice = shop.invoice(client, "20000")
    won: Counter[str] = Counter()
    for _ in range(200):
        credit = shop.credited(client, amount="100")
        calls = [
            partial(shop.do, credit, "apply", invoice_id=invoice, amount="60"),
            partial(shop.do, credit, "refund", method="cash", amount="60"),
        ]
        outcome = at_once(calls, 2)
        assert outcome == {"done": 1, "exceeds_remaining": 1}
        after = shop.shown(credit)
        assert after["remaining"] == "40.00"
        won["apply" if after["applied"] == "60.00" else "refund"] += 1
    assert won.total() == 200
    assert Decimal(shop.seen(invoice)["amount_credited"]) == 60 * won["apply"]


def test_a_payment_of_100_is_paid_back_fourteen_times_7_by_forty_hands(shop: Any) -> None:
    """G13."""
    client = shop.client()
    invoice = shop.invoice(client)
    payment = shop.paid(invoice_id=invoice, amount="100")["id"]
    calls = [partial(shop.refund, payment, amount="7.00")] * 40
    assert at_once(calls, 40) == {"done": 14, "exceeds_refundable": 26}
    seen = shop.office.get(f"/api/payments/{payment}").json()
    assert (seen["refunded"], seen["applied"]) == ("98.00", "2.00")
    assert shop.balance(invoice) == ("sent", "98.00")
    assert shop.owed(client) == {"USD": "98.00"}
