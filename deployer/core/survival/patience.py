"""How long a pod waits for a host that is dead, before it is replaced elsewhere.

At once, unless its manifest says otherwise: Kubernetes' toleration of the taint `node.kubernetes.io/unreachable`
(NoExecute), for `tolerationSeconds` or for ever. Kubernetes itself adds one of 300 s to every pod that has none; here
two witnesses have been heard before, so there is nothing left to wait for. Taints that people set are judged by the
same rule of tolerations (`taint_eviction.py`), on hosts that answer.

A pod whose data stays with its host waits for it, unless it has such a toleration with seconds, or an operator has
declared the host dead.
"""

from __future__ import annotations

import math

from deployer.core.objects.pod import PodSpec
from deployer.core.scheduling.selectors import tolerated_seconds
from deployer.core.taint import UNREACHABLE

FOR_EVER = math.inf


def patience_seconds(spec: PodSpec) -> float:
    """0: not at all; FOR_EVER: until its host is back or declared dead."""
    tolerated = tolerated_seconds(spec.tolerations, UNREACHABLE)
    if tolerated is not None:
        return tolerated
    return FOR_EVER if tie(spec) else 0.0


def tie(spec: PodSpec) -> str:
    """What ties the pod to its host, in words; "" when nothing does."""
    if spec.node_name:
        return f"its nodeName is {spec.node_name}"
    paths = [volume.host_path.path for volume in spec.volumes if volume.host_path is not None]
    return f"its volume {paths[0]} stays there" if paths else ""
