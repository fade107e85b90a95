"""May the pods of a dead host be replaced now? Not by mistake, and not all at once.

A verdict of death can be right for each host and wrong for all of them: a switch that fails looks like many deaths. So

- Kubernetes' partial-disruption rule (pkg/controller/nodelifecycle, `ComputeZoneState`): with more than two hosts of a
  zone away and these at least 55 % of it, eviction stops in a zone of up to 50 hosts, and slows down to one host in
  100 s in a larger one. A zone that is away as a whole is evicted while another one is well: that is what zones are
  for. Hosts that somebody sees are not away, unlike there;
- when more than half of all hosts fall silent together, a split of the network is likelier than so many deaths: they
  are given a minute;
- recovery is paced: two hosts (or a tenth of them) in ten seconds.

An operator who declares a host dead is not asked for patience. Each "not now" says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.core.survival.judge import Finding, Host
from deployer.core.survival.states import CUT_OFF, DEAD, SEEN

PARTIAL_ABOVE, PARTIAL_PERCENT = 2, 55
SMALL_ZONE = 50
SLOW_SECONDS = 100.0
MAJORITY_SECONDS = 60.0
PACE_SECONDS = 10.0
LEAST_AT_ONCE, TENTH = 2, 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """`evicting_at`: since when its pods are replaced elsewhere, 0: they are not; then `held` says why not (yet)."""

    state: str
    message: str
    witnesses: Mapping[str, bool]
    evicting_at: float = 0.0
    held: str = ""


def judge(hosts: Sequence[Host], findings: Mapping[str, Finding], now: float) -> dict[str, Verdict]:
    """By uid: what each host is, and whether its pods go elsewhere."""
    verdicts: dict[str, Verdict] = {}
    running = [host.evicting_at for host in hosts if host.evicting_at]
    for host in sorted(hosts, key=lambda one: (one.pulse.silent_since, one.name)):
        found = findings[host.uid]
        if found.state != DEAD:
            verdicts[host.uid] = Verdict(found.state, found.message, found.witnesses)
            continue
        held = "" if host.evicting_at or host.declared_dead else _held(host, hosts, findings, running, now)
        at = 0.0 if held else host.evicting_at or now
        if not held and not host.evicting_at:
            running.append(now)
        verdicts[host.uid] = Verdict(DEAD, found.message, found.witnesses, at, held)
    return verdicts


def _held(
    host: Host, hosts: Sequence[Host], findings: Mapping[str, Finding], running: Sequence[float], now: float
) -> str:
    zone = [one for one in hosts if one.zone == host.zone]
    away = [one for one in zone if _is_away(findings[one.uid])]
    if len(zone) > len(away) > PARTIAL_ABOVE and 100 * len(away) >= PARTIAL_PERCENT * len(zone):
        where = f" of zone {host.zone}" if host.zone else ""
        words = f"{len(away)} of {len(zone)} hosts{where} are away, which looks like a failure of the network"
        if len(zone) <= SMALL_ZONE:
            return f"{words}; `manage.py node declare-dead {host.name}` replaces them all the same"
        if any(now - at < SLOW_SECONDS for at in running):
            return f"{words}; one host in {SLOW_SECONDS:g} s"
    return _most(host, hosts, findings, now) or _pace(len(hosts), running, now)


def _most(host: Host, hosts: Sequence[Host], findings: Mapping[str, Finding], now: float) -> str:
    """2 of 3 at once are given a minute; the second of 3 when the first was given up before is not."""
    counted = [one for one in hosts if not one.evicting_at]
    lost = [one for one in counted if _is_away(findings[one.uid])]
    if 2 * len(lost) <= len(counted) or now - host.pulse.silent_since >= MAJORITY_SECONDS:
        return ""
    return (
        f"{len(lost)} of {len(counted)} hosts fell silent together, rather a split of the network; they are given "
        f"{MAJORITY_SECONDS:g} s"
    )


def _pace(count: int, running: Sequence[float], now: float) -> str:
    at_once = max(LEAST_AT_ONCE, -(-count // TENTH))
    recent = sum(now - at < PACE_SECONDS for at in running)
    return "" if recent < at_once else f"{recent} hosts are being replaced; {at_once} in {PACE_SECONDS:g} s"


def _is_away(found: Finding) -> bool:
    return found.state not in (*SEEN, CUT_OFF)
