"""Did a container of this pod fall over by itself? What a judged canary is given up for at once.

An engine counts the restarts of a container that ended while the engine ran, and begins anew at 0 whenever it starts
itself. So a count that is not 0 is a crash, and a container that went down with its host has none. One that we ended
because its liveness or startup probe failed has failed as well; one that we ended to mend something around it has not.
Pure.
"""

from __future__ import annotations

from deployer.core.pod_status import UNHEALTHY, ContainerStatus, PodStatus

OOM_KILLED = "OOMKilled"


def crash_of(status: PodStatus, since: float) -> str:
    """ "container web ended with exit code 1", "" when none fell over `since` (seconds since the epoch).

    What one did before and got over belongs to an earlier attempt of the canary, whose pods may still be there.
    """
    for one in (*status.init_containers, *status.containers):
        fell = one.engine_restarts > 0 or one.killed_for == UNHEALTHY
        if one.reason == "CrashLoopBackOff" or (fell and not 0 < one.restarted_at < since):
            return f"container {one.name} {_ending(one)}"
    return ""


def _ending(one: ContainerStatus) -> str:
    last = one.last
    if OOM_KILLED in (one.reason, last.reason if last else ""):
        return "used more memory than its limit and was ended"
    if one.killed_for == UNHEALTHY:
        return "failed its liveness or startup probe and was restarted"
    code = last.exit_code if last is not None and last.exit_code is not None else one.exit_code
    return "crashed" if code is None else f"ended with exit code {code}"
