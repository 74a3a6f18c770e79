"""What tests of erasure are given."""

from collections.abc import Callable
from typing import Any

import pytest
from known_person import Known


@pytest.fixture
def known(office: Any) -> Known:
    return Known(office)


@pytest.fixture
def alone(new_database: Callable[[], str], open_house: Callable[..., Any]) -> Any:
    """A house on a database of its own."""
    return open_house(new_database())
