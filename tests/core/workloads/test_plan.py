"""A plan can be read before it runs."""

from deployer.core.workloads.deployment import reconcile
from tests.core.workloads.scenario import scene


def test_a_plan_reads_as_lines() -> None:
    assert str(reconcile(scene("v1*:RRR v2:x", template="v3", max_surge=0, max_unavailable=1))) == (
        "create web-v3, revision 3, with 0 pods\n"
        "scale web-v1 to 2: it is an old revision\n"
        "scale web-v2 to 0: it is an old revision\n"
        "delete pod web-v1-2: web-v1 is to have 2, not 3\n"
        "delete pod web-v2-0: web-v2 is to have 0, not 1"
    )
    assert str(reconcile(scene("v1: v2: v3:RRRf", revision_history_limit=1))) == (
        "delete pod web-v3-3: it has ended (Failed: OOMKilled)\nforget web-v1\nuid-v3 is healthy"
    )
    assert str(reconcile(scene("v1?/3:RR v2:R"))) == (
        "scale web-v2 to 2: it is the current revision\n"
        "scale web-v1 to 2: its template is not known, so what is gone is not replaced\n"
        "create pod web-v2-2bsnb"
    )
    assert str(reconcile(scene("v1*: v2:RRR", template="v1"))).startswith("take uid-v1 again as revision 3\n")
    assert str(reconcile(scene("v1*:RRR v2:x"))).startswith("roll back: revision 2 (commit v2c0ffe) failed: 3 of 3")
    assert str(reconcile(scene("v1*:RRR", reason="NewReplicaSetAvailable"))) == "nothing to do"


def test_empty_means_that_nothing_but_the_status_is_written() -> None:
    settled = reconcile(scene("v1*:RRR", reason="NewReplicaSetAvailable"))
    assert settled.empty
    assert not settled.moves
    told = reconcile(scene("v1*:RRR"))
    assert not told.moves
    assert not told.empty  # the event that says that it is complete
