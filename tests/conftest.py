"""What every test may ask for."""

from collections.abc import Callable

import pytest

from tests.environment import require as require_or_skip


@pytest.fixture
def require() -> Callable[[object, str], None]:
    """`require(condition, sentence)`: skip without a real thing, fail without it under CI."""
    return require_or_skip
