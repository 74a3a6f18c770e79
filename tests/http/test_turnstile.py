"""The turnstile: few begin together, in the order in which they came, and none is forgotten."""

import asyncio

import pytest

from zeroinvoice.http.turnstile import A_ROUND, Turnstile


def test_no_round_of_the_loop_begins_more_than_a_few() -> None:
    """G20: what needs an answer at once gets its turn between them."""
    begun: list[int] = []
    rounds: list[int] = []

    async def request(turnstile: Turnstile, number: int) -> None:
        await turnstile.turn()
        begun.append(number)

    async def play() -> None:
        turnstile = Turnstile()
        tasks = [asyncio.create_task(request(turnstile, n)) for n in range(A_ROUND * 5)]
        while not all(task.done() for task in tasks):
            before = len(begun)
            await asyncio.sleep(0)
            rounds.append(len(begun) - before)
        assert begun == list(range(A_ROUND * 5))

    asyncio.run(play())
    assert max(rounds) <= A_ROUND


def test_few_do_not_wait_and_who_has_gone_holds_nobody_up() -> None:
    async def play() -> None:
        turnstile = Turnstile()
        for _ in range(3):
            await asyncio.wait_for(turnstile.turn(), 0.1)
            await asyncio.sleep(0)
        crowd = [asyncio.create_task(turnstile.turn()) for _ in range(A_ROUND * 3)]
        await asyncio.sleep(0)
        crowd[A_ROUND + 1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await crowd[A_ROUND + 1]
        others = [it for it in crowd if it is not crowd[A_ROUND + 1]]
        await asyncio.wait_for(asyncio.gather(*others), 1)
        await asyncio.sleep(0.01)
        await asyncio.wait_for(turnstile.turn(), 0.1)

    asyncio.run(play())
