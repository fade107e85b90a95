"""What a canary's container is given up for, and what is no fault of its own."""

from __future__ import annotations

import pytest

from deployer.core.canary.crashes import crash_of
from deployer.core.pod_status import ContainerStatus, LastExit, PodStatus

ENDED = "container web ended with exit code"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (ContainerStatus("web", state="running"), ""),
        (ContainerStatus("web", restarts=3, exit_code=137), ""),
        (ContainerStatus("web", engine_restarts=1, exit_code=3), f"{ENDED} 3"),
        (ContainerStatus("web", engine_restarts=1, last=LastExit(4, "Error", 1)), f"{ENDED} 4"),
        (ContainerStatus("web", engine_restarts=1), "container web crashed"),
        (ContainerStatus("web", reason="CrashLoopBackOff", exit_code=1), f"{ENDED} 1"),
        (
            ContainerStatus("web", engine_restarts=1, last=LastExit(137, "OOMKilled", 1)),
            "container web used more memory than its limit and was ended",
        ),
        (
            ContainerStatus("web", killed_for="Unhealthy", killed_at=5, restarts=1, exit_code=143),
            "container web failed its liveness or startup probe and was restarted",
        ),
        (ContainerStatus("web", killed_for="SandboxChanged", killed_at=5, restarts=1, exit_code=143), ""),
        (ContainerStatus("web", engine_restarts=1, restarted_at=999, exit_code=3), ""),
        (ContainerStatus("web", engine_restarts=2, restarted_at=1001, exit_code=3), f"{ENDED} 3"),
        (ContainerStatus("web", killed_for="Unhealthy", restarted_at=999, restarts=1, exit_code=143), ""),
        (ContainerStatus("web", reason="CrashLoopBackOff", restarted_at=999, exit_code=1), f"{ENDED} 1"),
        (ContainerStatus("web", killed_for="Paused", killed_at=5, restarts=1), ""),
    ],
)
def test_what_is_a_crash(status: ContainerStatus, said: str) -> None:
    assert crash_of(PodStatus(containers=(status,)), 1000) == said
