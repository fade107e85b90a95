"""Looking for a counterexample in code that was broken on purpose: one will do, so nothing is shrunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

hunting = settings(
    max_examples=1500, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
    report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip


def hunted(broken_property: Any, *strategies: st.SearchStrategy[Any]) -> None:
    body: Callable[..., None] = broken_property.hypothesis.inner_test

    @hunting
    @given(st.tuples(*strategies))
    def hunt(drawn: tuple[Any, ...]) -> None:
        body(*drawn)

    hunt()
