"""The short form of `make sabotage`: what needs no process of its own, in every run of the tests.

A test that has gone blind would let these pass.
"""

import pytest

from tests.properties import test_money_properties as properties
from tests.sabotage.switches import SABOTAGES
from tests.simulation.world import simulate

SEEDS = 100  # within which each must be caught
NOTICED = {
    "S2": "has other rows than a fresh fold|UUID.* is not ",
    "S3": "took effect",
    "S5": "number .* follows",
    "S6": "number .* follows",
    "S7": "has a balance of -",
    "S14": "skipped what it cannot bear",
}


def simulated(seeds: int) -> None:
    for seed in range(1, seeds + 1):
        simulate(seed)


@pytest.mark.parametrize("name", NOTICED)
def test_the_simulation_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SABOTAGES[name].switch(monkeypatch.setattr)
    with pytest.raises(AssertionError, match=NOTICED[name]):
        simulated(SEEDS)


def test_the_properties_of_money_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """S8: floats."""
    SABOTAGES["S8"].switch(monkeypatch.setattr)
    with pytest.raises(AssertionError):
        properties.test_the_calculation_is_the_one_of_the_rules()
