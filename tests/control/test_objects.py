"""Rows are written many at a time: every sort of field as one by one, all or none, and each told."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from control.models import Change, Event, Pod, ReplicaSet
from control.store import objects
from tests.control import factories

pytestmark = pytest.mark.django_db
NOW = factories.NOW


def pods(count: int = 2) -> list[Pod]:
    owner = factories.replica_set(factories.deployment("web"))
    return [factories.pod(owner, f"web-{number}", node=factories.node(f"n{number}")) for number in range(count)]


def test_every_sort_of_field_is_written() -> None:
    rows, other = pods(), factories.node("other")
    last = Change.objects.order_by("resource_version").values_list("resource_version", flat=True).last() or 0
    for number, row in enumerate(rows):
        row.node, row.labels, row.message, row.ready_at, row.ready = other, {"it's": number}, "a\nb %s", 2.5, True
        row.deleted_at = None if number else 7.0
    objects.update(rows, ["node", "labels", "message", "ready_at", "ready", "deleted_at"])
    found = Pod.objects.order_by("name").values_list(
        "node__name", "labels", "message", "ready_at", "ready", "deleted_at", "resource_version"
    )
    assert list(found) == [
        ("other", {"it's": 0}, "a\nb %s", 2.5, True, 7.0, last + 1),
        ("other", {"it's": 1}, "a\nb %s", 2.5, True, None, last + 2),
    ]
    told = Change.objects.filter(resource_version__gt=last).order_by("resource_version")
    assert list(told.values_list("type", "kind", "name")) == [
        ("MODIFIED", "Pod", "web-0"),
        ("MODIFIED", "Pod", "web-1"),
    ]


def test_what_is_sealed_is_written_sealed() -> None:
    row = factories.replica_set(factories.deployment("web"))
    row.config.store({"Secret/a": {"key": "dmFsdWU="}})
    objects.update([row], ["config"])
    assert ReplicaSet.objects.get(pk=row.pk).config.load() == {"Secret/a": {"key": "dmFsdWU="}}
    assert b"dmFsdWU" not in bytes(str(ReplicaSet.objects.filter(pk=row.pk).values_list("config").get()), "utf-8")


def test_where_one_is_gone_none_is_written() -> None:
    rows = pods(3)
    Pod.objects.filter(pk=rows[1].pk).delete()
    for row in rows:
        row.message = "new"
    with pytest.raises(DatabaseError, match="1 of 3 rows of Pod are gone"), transaction.atomic():
        objects.update(rows, ["message"])
    assert not Pod.objects.filter(message="new").exists()


def test_events_that_are_the_same_are_counted_also_within_one_call() -> None:
    def told(message: str, at: float) -> objects.Told:
        return objects.Told("Pod", "shop", "web-0", "Warning", "Failed", message, "n1", at)

    objects.record_events([told("a", NOW), told("b", NOW), told("a", NOW + 1)])
    objects.record_events([told("a", NOW + objects.EVENT_FOLD_SECONDS + 2)])
    found = Event.objects.order_by("id").values_list("message", "count", "first_at", "last_at", "type", "node")
    later = NOW + objects.EVENT_FOLD_SECONDS + 2
    assert list(found) == [
        ("a", 2, NOW, NOW + 1, "Warning", "n1"), ("b", 1, NOW, NOW, "Warning", "n1"),
        ("a", 1, later, later, "Warning", "n1"),
    ]  # fmt: skip
    assert Change.objects.filter(kind="Event", name="web-0").count() == 4


def test_thousands_of_names_are_asked_for_at_once() -> None:
    """More values than a statement of SQLite takes variables, by any build of it; with what quoting would trip over."""
    rows = pods()
    names = [row.uid for row in rows]
    many = [*(f"other-{number}" for number in range(300_000)), "it's", 'a "quoted" \\ % %s one', names[1]]
    assert [row.name for row in Pod.objects.filter(pk__among=many)] == ["web-1"]
    assert Pod.objects.filter(name__among={"web-0"}, pk__among=(one for one in names)).get() == rows[0]
    assert not Pod.objects.filter(pk__among=[]).exists()
    assert set(Pod.objects.exclude(pk__among=names[:1]).values_list("name", flat=True)) == {"web-1"}
