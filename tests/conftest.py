"""What every test may ask for, and how the whole suite is divided between two processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.environment import require as require_or_skip

ENGINES = "tests/engines/"
FIRST = (ENGINES, "tests/control/test_production.py", "tests/contracts/")
"""What takes longest, so that nothing of it is begun last."""


@pytest.fixture
def require() -> Callable[[object, str], None]:
    """`require(condition, sentence)`: skip without a real thing, fail without it under CI."""
    return require_or_skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((turn for turn, first in enumerate(FIRST) if first in item.nodeid), len(FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process has all stories on real engines, which share hosts; of other files, none is divided."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return ENGINES if nodeid.startswith(ENGINES) else nodeid.partition("::")[0]

    return ByFile(config, log)
