"""Pods of a dead node, or that their node could not start, do not count any more (`census.py`), so others are made.

What is left is to ask for their end.

Their containers may run on, on a host that nobody sees: when it is back, its converge finds their end asked
for and stops them before anything else happens there.
"""

from __future__ import annotations

from deployer.core.workloads.census import Census
from deployer.core.workloads.values import DeletePod, Pod

REASON = "its node is lost"
NOT_STARTED = "its node cannot start it"


def losses(census: Census) -> tuple[DeletePod, ...]:
    found = (pod for standing in census.standings() for pod in standing.lost if not pod.deleting)
    return tuple(DeletePod(pod.uid, pod.name, _why(pod)) for pod in sorted(found, key=lambda pod: pod.name))


def _why(pod: Pod) -> str:
    """The pods of a node that is not seen are Unknown."""
    return NOT_STARTED if pod.phase == "Pending" else REASON
