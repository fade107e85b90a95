"""What every test may ask for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import require as require_or_skip


@pytest.fixture
def require() -> Callable[[object, str], None]:
    """`require(condition, sentence)`: skip without a real thing, fail without it under CI."""
    return require_or_skip


FIRST = ("engines", "control/test_production.py", "contracts")
"""What takes longest, so that nothing of it is begun last."""


@pytest.hookimpl(tryfirst=True)  # the groups are read by a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of two processes, one has all stories on real engines, which share hosts; a file is never divided."""
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        item.add_marker(pytest.mark.xdist_group("engines" if place.parts[0] == "engines" else str(place)))
    items.sort(key=lambda item: _turn(str(item.path.relative_to(here))))


def _turn(place: str) -> int:
    return next((turn for turn, first in enumerate(FIRST) if place.startswith(first)), len(FIRST))
