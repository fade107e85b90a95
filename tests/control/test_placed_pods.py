"""What the scheduler remembers of placed pods is what a look at all rows would find."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from control.models import Change, Pod
from control.store import objects
from control.store.placed_pods import READ_AGAIN_SECONDS, PlacedPods
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def placed() -> Iterator[PlacedPods]:
    """It has read what there was: one pod on node a, one that waits."""
    made = PlacedPods()
    objects.create([Pod(namespace="shop", name="there", node=factories.node("a"), labels={"app": "web"})])
    objects.create([Pod(namespace="shop", name="waits")])
    assert names(made) == ["there"]
    return made


def names(placed: PlacedPods, now: float = NOW) -> list[str]:
    """And both ways to read agree."""
    found = {pod.uid: pod for pod in placed.at(now)}
    assert found == {pod.uid: pod for pod in PlacedPods().at(now)}
    return sorted(pod.name for pod in found.values())


def change(name: str, **fields: Any) -> None:
    row = Pod.objects.get(name=name)
    for field, value in fields.items():
        setattr(row, field, value)
    objects.update([row], fields)


def test_whatever_is_written_is_followed(placed: PlacedPods) -> None:
    change("waits", node=factories.node("b"))
    assert names(placed) == ["there", "waits"]
    change("there", labels={"app": "other"}, deleted_at=NOW, placement={"cpu": 7, "memory": 9})
    assert names(placed) == ["there", "waits"]
    objects.delete([Pod.objects.get(name="there")])
    assert names(placed) == ["waits"]
    change("waits", node=None)
    assert names(placed) == []


def test_any_order_of_writes_ends_the_same(placed: PlacedPods) -> None:
    nodes, chosen = [factories.node(name) for name in "cd"], random.Random(7)
    for number in range(60):
        rows = list(Pod.objects.order_by("name"))
        match chosen.choice(("create", "move", "delete", "look")):
            case "create":
                objects.create([Pod(namespace="shop", name=f"pod-{number:02}", node=chosen.choice([*nodes, None]))])
            case "move" if rows:
                change(chosen.choice(rows).name, node=chosen.choice([*nodes, None]))
            case "delete" if rows:
                objects.delete([chosen.choice(rows)])
            case _:
                names(placed)
    names(placed)


def test_a_transaction_that_was_undone_is_not_remembered(placed: PlacedPods) -> None:
    with transaction.atomic():
        change("waits", node=factories.node("b"))
        assert names(placed) == ["there", "waits"]
        transaction.set_rollback(True)
    objects.touch("Node", "", "a")  # a number is given again
    assert names(placed) == ["there"]


def test_a_log_that_ends_before_it_or_begins_after_it_has_all_read_again(placed: PlacedPods) -> None:
    change("waits", node=factories.node("b"))
    Change.objects.all().delete()
    assert names(placed) == ["there", "waits"]


def test_what_was_written_past_the_log_is_found_within_minutes(placed: PlacedPods) -> None:
    Pod.objects.filter(name="there").delete()
    assert [pod.name for pod in placed.at(NOW + 1)] == ["there"]
    assert placed.at(NOW + READ_AGAIN_SECONDS) == []


def test_nothing_new_costs_a_few_small_questions(placed: PlacedPods, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(5):
        placed.at(NOW)
