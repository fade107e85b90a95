"""Each property can fail: the scheduler is broken in one place on purpose, and the property has to notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.core.scheduling import filters, placement, selectors
from deployer.core.scheduling.demand import Demand
from deployer.core.scheduling.population import Population
from deployer.core.scheduling.topology import Even, FreePorts, Near
from tests.core.scheduling import test_properties as properties
from tests.core.scheduling.clusters import scenes

hunting = settings(
    max_examples=3000, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
    report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip
mutant = pytest.param
ANY_ORDER = properties.the_order_of_the_input_does_not_matter
STILL_FITS = properties.what_place_decides_still_fits_when_it_is_bound
A_SENTENCE = properties.every_pod_is_bound_or_waits_with_a_sentence
FITS_NOWHERE = properties.a_waiting_pod_fits_nowhere_in_the_end
EVERY_FILTER = properties.a_bound_pod_passed_every_filter_at_its_turn
NO_OVERSUBSCRIPTION = properties.no_node_gives_more_than_it_has


def nothing(*_: Any) -> None:
    pass


def always(*_: Any) -> bool:
    return True


def one_too_many(rule: Even, host: Any) -> bool:
    value = host.labels.get(rule.key)
    return value is not None and rule.tally.get(value, 0) + rule.joins - rule.least <= rule.max_skew + 1


@pytest.mark.parametrize(
    ("where", "name", "broken", "broken_property"),
    [
        mutant(Demand, "has_room", always, NO_OVERSUBSCRIPTION, id="room"),
        mutant(FreePorts, "settle", nothing, NO_OVERSUBSCRIPTION, id="ports"),
        mutant(selectors, "_tolerates", always, EVERY_FILTER, id="taints"),
        mutant(Even, "admits", one_too_many, EVERY_FILTER, id="skew"),
        mutant(Near, "admits", always, EVERY_FILTER, id="affinity"),
        mutant(Population, "repel", nothing, EVERY_FILTER, id="symmetry"),
        mutant(placement, "_try_again", nothing, FITS_NOWHERE, id="again"),
        mutant(Even, "_raise_least", nothing, FITS_NOWHERE, id="minimum"),
        mutant(filters, "_first_failed", nothing, A_SENTENCE, id="why"),
        mutant(Population, "occupied", lambda *_: set(), EVERY_FILTER, id="ports of others"),
        mutant(placement, "fits_here", lambda *_: False, STILL_FITS, id="recheck"),
    ],
)  # fmt: skip
def test_a_broken_scheduler_is_noticed(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, broken: Any, broken_property: Any
) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        hunted(broken_property, scenes())


def test_a_forgotten_order_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_turn", lambda _: 0)
    with pytest.raises(AssertionError):
        hunted(ANY_ORDER, scenes(), st.integers(0, 1000))


def hunted(broken_property: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Without shrinking: one counterexample will do."""

    @hunting
    @given(st.tuples(*strategies))
    def hunt(drawn: tuple[Any, ...]) -> None:
        broken_property(*drawn)

    hunt()
