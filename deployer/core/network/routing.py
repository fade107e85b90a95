"""What one pass of a node's route loop works on, and what came of it.

    Routed (everything read from the records at one version) -> a pass -> RouterOutcome (all that is saved)

Only values: `router.py` and `runtime.py` decide, `loops/route.py` does. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployer.core.network.values import Cluster, Identity, ProbeResult

RESYNC_SECONDS, LONGEST_RESYNC_SECONDS = 60.0, 900.0
RESYNC_SHARE = 5
"""All routers' looks together, with nothing to do, take one fifth of a core's time."""


def resync_seconds(pass_seconds: float, hosts: int) -> float:
    """When a router is looked at again that nothing woke. A pass costs what there are Services and pods, and each host
    has its own: 10 hosts whose pass takes 0.1 s are looked at every minute, 100 that take 1 s every 500 s."""
    return min(max(RESYNC_SECONDS, RESYNC_SHARE * pass_seconds * hosts), LONGEST_RESYNC_SECONDS)


@dataclass(frozen=True, slots=True)
class Routed:
    """`version`: the routing version this was read at. `line_host`: where the control plane reaches the mesh port
    ("127.0.0.1" for a local socket), "" for a simulated node. `control`: the control plane's own certificate.

    `leaving`: deleted pods that still have containers, uid -> the version of their deletion (0: nobody waits).
    `before`: pod uid -> the results on record. `wake_at`:
    when a probe becomes due, or a certificate is to be renewed. `retry`: failures in a row, for the back-off.
    """

    cluster: Cluster
    version: int
    router_image: str
    dns_image: str
    line_host: str
    control: Identity
    leaving: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, tuple[ProbeResult, ...]] = field(default_factory=dict)
    wake_at: float | None = None
    retry: int = 0


@dataclass(frozen=True, slots=True)
class RouterOutcome:
    """`reason` is one CamelCase word (RouterReady, RouterImageMissing, RouterUnreachable, RouterRefusedConfig,
    PortTaken), `message` a sentence for people. `problems`: what could not be configured, and what else to know.

    `version`: all that was asked for up to it is in the router, and every pod deleted up to it is out; None: not (yet).
    `probes`: new findings by pod uid, only those that changed.
    """

    ready: bool
    reason: str
    message: str
    problems: tuple[str, ...] = ()
    version: int | None = None
    probes: Mapping[str, tuple[ProbeResult, ...]] = field(default_factory=dict)
