"""Rows that pages keep: read again when they were written, whatever becomes of the log and of transactions."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from control.models import Change, Pod, ReplicaSet, Repository, Service
from control.selectors.application_rows import APPLICATIONS
from control.selectors.backing import PODS, backings_of_all
from control.selectors.connecting import SERVICES
from control.selectors.deployment_facts import DEPLOYMENTS
from control.selectors.followed import Followed, each
from control.store import objects
from tests.control import factories

pytestmark = pytest.mark.django_db(transaction=True)
TABLES = (DEPLOYMENTS, SERVICES, PODS)


@pytest.fixture
def kept() -> Followed:
    """A shop with three pods, and another namespace beside it; all of it was read once."""
    factories.shop()
    factories.service()
    factories.service("other", namespace="mail")
    objects.touch("Event", "", "first")
    made = Followed()
    made.now(*TABLES)
    return made


def ready(kept: Followed) -> int:
    return sum(pod.ready for pod in each(kept.now(PODS)[0]))


def unready(pod: Pod) -> None:
    pod.ready = False
    objects.update([pod], ["ready"])


def a_pod() -> Pod:
    return Pod.objects.order_by("name")[0]


def test_rows_that_rest_are_not_read_again(kept: Followed, django_assert_num_queries: Any) -> None:
    before = kept.now(*TABLES)
    objects.touch("Event", "shop", "web")
    with django_assert_num_queries(1):
        after = kept.now(*TABLES)
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_of_what_was_written_one_table_is_asked(kept: Followed, django_assert_num_queries: Any) -> None:
    _, services, pods = kept.now(*TABLES)
    unready(a_pod())
    with django_assert_num_queries(2):
        _, same, fresh = kept.now(*TABLES)
    assert sum(pod.ready for pod in each(fresh)) == 2
    assert same is services and fresh is not pods and sum(pod.ready for pod in each(pods)) == 3


def test_what_was_deleted_or_added_is_gone_or_there(kept: Followed) -> None:
    objects.delete([a_pod()])
    assert len(list(each(kept.now(PODS)[0]))) == 2
    objects.create([Pod(namespace="new", name="bare")])
    assert set(kept.now(PODS)[0]) == {"shop", "new"}
    objects.delete([Pod.objects.get(name="bare")])
    assert set(kept.now(PODS)[0]) == {"shop"}, "a namespace without a row is none"


def test_a_pod_that_leaves_is_no_endpoint(kept: Followed) -> None:
    pod = a_pod()
    pod.deleted_at = 5.0
    objects.update([pod], ["deleted_at"])
    assert len(list(each(kept.now(PODS)[0]))) == 2


def test_a_log_that_was_cut_makes_all_be_read(kept: Followed) -> None:
    Pod.objects.filter(pk=a_pod().pk).update(ready=False)
    Change.objects.all().delete()
    assert ready(kept) == 2


def test_a_log_of_another_history_makes_all_be_read(kept: Followed) -> None:
    """A backup was put back, and the same versions were given again."""
    last = Change.objects.order_by("-resource_version")[0]
    Change.objects.filter(pk=last.pk).update(at=last.at - 1)
    Pod.objects.filter(pk=a_pod().pk).update(ready=False)
    assert ready(kept) == 2


def test_very_much_that_was_written_makes_all_be_read(kept: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.selectors.followed.AT_MOST", 3)
    for number in range(4):
        objects.touch("Event", "", str(number))
    Pod.objects.filter(pk=a_pod().pk).update(ready=False)
    assert ready(kept) == 2


def test_what_a_transaction_takes_back_was_never_kept(kept: Followed) -> None:
    with transaction.atomic():
        unready(a_pod())
        assert ready(kept) == 2, "who asks within it sees it"
        transaction.set_rollback(True)
    assert ready(kept) == 3
    objects.touch("Event", "", "takes the same version")
    assert ready(kept) == 3


def test_whoever_reads_does_so_undisturbed(kept: Followed) -> None:
    """What was handed out stays as it was, and all threads see the same."""
    (before,) = kept.now(PODS)
    held = dict(before["shop"])
    unready(a_pod())
    found: list[int] = []

    def look() -> None:
        found.append(ready(kept))
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [2] * 4 and before["shop"] == held


def test_an_application_is_told_by_its_repository_and_not_taken_for_it() -> None:
    source = factories.repository("all")
    factories.application("all", repository=source)
    kept = Followed()
    assert [row.failures for row in each(kept.now(APPLICATIONS)[0])] == [0]
    Repository.objects.update(failures=2)
    objects.touch("Repository", "", "all")
    assert [row.failures for row in each(kept.now(APPLICATIONS)[0])] == [2]
    objects.touch("Repository", "", "elsewhere")
    assert len(list(each(kept.now(APPLICATIONS)[0]))) == 1


def test_services_are_counted_anew_where_something_was_written(kept: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def count() -> dict[str, int]:
        found = backings_of_all(*kept.now(SERVICES, PODS))
        return {f"{one.row.namespace}/{one.row.name}": one.ready for one in found}

    assert count() == {"mail/other": 0, "shop/web": 3}
    from control.selectors import backing

    one_of = backing._backing
    monkeypatch.setattr(backing, "_backing", lambda row, *rest: counted.append(row.namespace) or one_of(row, *rest))
    unready(a_pod())
    assert count() == {"mail/other": 0, "shop/web": 2} and counted == ["shop"]


def test_a_template_that_became_known_gives_its_pods_their_ports(kept: Followed) -> None:
    row = Service.objects.get(name="web")
    row.spec = {**row.spec, "ports": [{"port": 80, "targetPort": "http"}]}
    objects.update([row], ["spec"])
    lacking = {one.row.name: one.lacking for one in backings_of_all(*kept.now(SERVICES, PODS))}
    assert lacking["web"] == "http"
    for owner in ReplicaSet.objects.all():
        template = factories.template()
        template["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
        owner.spec = {"template": template}
        objects.update([owner], ["spec"])
    lacking = {one.row.name: one.lacking for one in backings_of_all(*kept.now(SERVICES, PODS))}
    assert lacking["web"] == ""
