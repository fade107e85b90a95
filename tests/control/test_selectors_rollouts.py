"""How far a rollout is, in kubectl's sentences; when it has failed; and when it has not, although it looks so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from control.models import Deployment, Pod, Work
from control.selectors.rollouts import history, rollout_state, rollout_states
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db
WAITING = 'Waiting for deployment "web" rollout to finish: '


def scene(sketch: str, *, replicas: int = 3) -> Deployment:
    """`v1:RR v2:Rp`: Git asks for revision 2. R ready, p not ready, t terminating, P ready for a second only."""
    row = factories.deployment(replicas=replicas)
    place = factories.node()
    for word in sketch.split():
        revision, _, pods = word.removeprefix("v").partition(":")
        owner = factories.replica_set(row, int(revision), replicas=len(pods))
        for number, letter in enumerate(pods):
            factories.pod(
                owner, f"v{revision}-{number}", node=place, ready=letter in "RP",
                ready_at={"R": NOW - 200, "P": NOW - 1}.get(letter, 0), deleted_at=NOW if letter == "t" else None,
            )  # fmt: skip
    return row


@pytest.mark.parametrize(
    ("sketch", "sentence"),
    [
        pytest.param(
            "v1:RRR", "Waiting for deployment spec update to be observed...", id="no set for the template yet"
        ),
        pytest.param("v1:RRR v2:", WAITING + "0 out of 3 new replicas have been updated...", id="begun"),
        pytest.param("v1:RR v2:Rp", WAITING + "2 out of 3 new replicas have been updated...", id="half way"),
        pytest.param("v1:R v2:RRR", WAITING + "1 old replicas are pending termination...", id="one old pod left"),
        pytest.param("v1:t v2:RRp", WAITING + "2 of 3 updated replicas are available...", id="one is not ready"),
        pytest.param("v2:RRt", WAITING + "2 out of 3 new replicas have been updated...", id="one was deleted"),
    ],
)
def test_a_rollout_under_way_says_what_it_waits_for(sketch: str, sentence: str) -> None:
    state = rollout_state(scene(sketch), NOW)
    assert (state.sentence, state.done, state.failure) == (sentence, False, "")


@pytest.mark.parametrize("sketch", ["v2:RRR", "v1:ttt v2:RRR", "v1: v2:RRR"])
def test_a_rollout_is_done_when_all_are_available_and_no_old_one_is_left(sketch: str) -> None:
    state = rollout_state(scene(sketch), NOW)
    assert (state.sentence, state.done) == ('deployment "web" successfully rolled out', True)


def test_no_replicas_are_rolled_out_too() -> None:
    assert rollout_state(scene("v2:", replicas=0), NOW).done


def test_available_means_ready_for_min_ready_seconds() -> None:
    row = scene("v2:RRP")
    row.spec["minReadySeconds"] = 10
    assert rollout_state(row, NOW).sentence == WAITING + "2 of 3 updated replicas are available..."
    assert rollout_state(row, NOW + 10).done


def test_a_change_that_no_pass_has_seen_is_waited_for() -> None:
    row = scene("v2:RRR")
    row.generation = 2
    assert rollout_state(row, NOW).sentence == "Waiting for deployment spec update to be observed..."


def test_new_config_content_is_waited_for_although_the_generation_is_the_same() -> None:
    row = scene("v2:RRR")
    row.live_hash = "hash3"
    assert not rollout_state(row, NOW).done


def test_a_paused_rollout_says_so() -> None:
    row = scene("v1:RRR")
    row.paused = True
    assert (
        rollout_state(row, NOW).sentence == 'Waiting for deployment "web", which is paused: `rollout resume` goes on...'
    )


def test_an_automatic_rollback_is_a_failure_however_well_the_old_revision_runs() -> None:
    row = scene("v1:RRR v2:")
    factories.pin(row, 1, automatic=True)
    state = rollout_state(row, NOW)
    assert state.failure == f'deployment "web" was rolled back automatically: {factories.ROLLED_BACK}'
    assert state.log_tail == "Traceback\nboom"


def test_a_persons_undo_is_no_failure() -> None:
    row = scene("v1:RRR v2:")
    factories.pin(row, 1)
    assert rollout_state(row, NOW).done


def test_a_pin_that_a_newer_commit_ended_is_not_waited_for() -> None:
    row = scene("v1:RRR v2:RRR")
    factories.pin(row, 1, automatic=True)
    row.live_hash = "hash3"
    state = rollout_state(row, NOW)
    assert (state.failure, state.sentence) == ("", "Waiting for deployment spec update to be observed...")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ProgressDeadlineExceeded", "exceeded its progress deadline: revision 2"),
        ("CrashLoopBackOff", "cannot get on (CrashLoopBackOff): revision 2"),
    ],
)
def test_a_rollout_that_cannot_get_on_says_which_pod_and_why(reason: str, words: str) -> None:
    row = scene("v1:RR v2:")
    factories.crashed_pod(row.replica_sets.get(revision=2), name="web-x")
    row.progress["reason"] = reason
    state = rollout_state(row, NOW)
    assert state.failure == (
        f'deployment "web" {words}, pod web-x: CrashLoopBackOff: container web exited with code 1, 5 times'
    )
    assert state.log_tail == "Traceback\nboom"


@pytest.mark.parametrize(
    "due",
    [
        pytest.param({"due_at": 0.0}, id="a look is due"),
        pytest.param({"due_at": NOW + 10, "leased_until": NOW + 10}, id="somebody is at it"),
    ],
)
def test_an_old_verdict_does_not_count_while_a_change_is_looked_at(due: dict[str, float]) -> None:
    """`rollout undo` of a rollout that timed out: its status is still the old one for a moment."""
    row = scene("v1:RR v2:p")
    row.progress["reason"] = "ProgressDeadlineExceeded"
    Work.objects.create(loop="reconcile", key=row.uid, **due)
    assert rollout_state(row, NOW).failure == ""
    Work.objects.update(due_at=1e18, leased_until=0)
    assert rollout_state(row, NOW).failure


def test_many_deployments_cost_few_queries(django_assert_max_num_queries: Callable[..., object]) -> None:
    place = factories.node()
    rows = []
    for number in range(20):
        row = factories.deployment(f"web-{number:02}", replicas=1)
        factories.pod(factories.replica_set(row), f"pod-{number}", node=place)
        rows.append(row)
    with django_assert_max_num_queries(2):  # type: ignore[attr-defined]
        assert all(state.done for state in rollout_states(rows, NOW))


def test_history_tells_what_became_of_each_revision() -> None:
    row = scene("v1: v2:RRR")
    factories.replica_set(row, 3, failed=True, healthy=False, replicas=0)
    factories.replica_set(row, 4, adopted=True, healthy=False, spec={}, replicas=0)
    assert [(one.revision, one.commit[:1], one.state, one.images) for one in history(row)] == [
        (1, "1", "healthy", (factories.IMAGE,)),
        (2, "2", "current, healthy", (factories.IMAGE,)),
        (3, "3", "failed", (factories.IMAGE,)),
        (4, "4", "adopted", ()),
    ]
    assert Pod.objects.count() == 3
