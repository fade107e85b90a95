"""Is a host dead? Two witnesses are heard: our own heartbeat, and the routers of the host's peers.

    pings, statements, the last verdicts -> judge -> a verdict for each host -> guards.py: may its pods be replaced?

A host is Dead when it has missed three pings in a row and no peer sees it. One peer that sees it is enough: then it is
merely cut off from us, and its pods are left alone. If no host answers at all, it is we who are cut off. Once dead, a
host stays so until it answers or a peer sees it again.

Kubernetes hears one witness only (the kubelet's lease) and waits 350 s to make up for it; Swarm waits 17 s.

Pure: what was concluded last comes in with `Host`, so a judge that is killed, paused or doubled concludes the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deployer.core.heartbeat import MISSES_UNTIL_UNSEEN, Pulse
from deployer.core.survival.states import CUT_OFF, DEAD, READY, RETURNING, SEEN, UNKNOWN

FRESH_SECONDS = 3.0
"""What a peer said longer ago is no statement."""
NOTICE_SECONDS = 3.5
"""A router needs so long to notice that a peer is gone: a second between checks, a second for each of two to time
out, 0.3 s between them. Until then "I see it" says nothing of now."""
SETTLED_SECONDS = 3.0
"""A peer that was cut off itself says of all others that it does not see them, until it has looked again (seen on real
hosts: for up to 2 s). So its "no" counts when it has been answering for so long; its "yes" always does."""
PATIENCE_SECONDS = 3.0
"""So much longer a peer is waited for that has not said anything."""
LONELY_SECONDS = 30.0
"""After so long a silence a host counts as dead although no peer could be asked."""


@dataclass(frozen=True, slots=True)
class Host:
    """A registered host. `state` and the times are those of the last verdict; `read_at`: when its containers were last
    read, 0 if not since it was dead. `declared_dead`: an operator said so."""

    uid: str
    name: str
    pulse: Pulse
    state: str = READY
    message: str = ""
    zone: str = ""
    read_at: float = 1.0
    evicting_at: float = 0.0
    held: str = ""
    declared_dead: bool = False
    witnesses: Mapping[str, bool] = field(default_factory=dict)

    @property
    def is_seen(self) -> bool:
        return self.pulse.is_answered

    @property
    def is_unseen(self) -> bool:
        """Not one that has only just stopped answering: that one is what it was."""
        return not self.is_seen and (self.pulse.misses >= MISSES_UNTIL_UNSEEN or self.state not in SEEN)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one host's router said at `at` of the peers that it watches, by their uid; None: it does not know yet."""

    at: float
    sees: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a host is, with the words for it. `witnesses`: name of a peer -> whether it sees the host."""

    state: str
    message: str
    witnesses: Mapping[str, bool] = field(default_factory=dict)


def in_doubt(hosts: Iterable[Host]) -> list[Host]:
    """Those that have missed so many pings that the next one decides, or that the word of their peers does."""
    return [
        host
        for host in hosts
        if host.pulse.misses >= MISSES_UNTIL_UNSEEN - 1 and host.state in (*SEEN, UNKNOWN) and not host.declared_dead
    ]


def watchers(hosts: Iterable[Host], statements: Mapping[str, Statement]) -> list[str]:
    """The uids of the peers whose routers watch one of these hosts."""
    wanted = {host.uid for host in hosts}
    return sorted(uid for uid, said in statements.items() if wanted & said.sees.keys() and uid not in wanted)


def find(hosts: Sequence[Host], statements: Mapping[str, Statement], now: float) -> dict[str, Finding]:
    """By uid. `statements` are by the uid of the host whose router said it; only hosts that answer are believed."""
    seen = [host for host in hosts if host.is_seen]
    wavering = any(not host.is_seen and not host.is_unseen for host in hosts)
    return {host.uid: _find(host, seen, wavering, statements, len(hosts), now) for host in hosts}


def _find(
    host: Host, seen: Sequence[Host], wavering: bool, statements: Mapping[str, Statement], count: int, now: float
) -> Finding:
    """`wavering`: of some host it is not known yet whether it is seen."""
    if host.is_seen:
        return _seen(host)
    if not host.is_unseen:
        return _as_before(host)
    if host.declared_dead:
        return Finding(DEAD, f"{_silence(host)}; an operator declared it dead")
    if not seen:
        return _as_before(host) if wavering or host.state == DEAD else Finding(CUT_OFF, _alone(host, count))
    said, owed = _said(host, seen, statements, now)
    return _weighed(host, said, owed, statements, len(seen), now)


def _weighed(
    host: Host,
    said: Mapping[str, tuple[str, bool]],
    owed: Sequence[str],
    statements: Mapping[str, Statement],
    asked: int,
    now: float,
) -> Finding:
    """`said`: uid of a peer -> its name and its word. `owed`: names of those that might know and have not said."""
    witnesses = dict(said.values())
    silent_for = now - host.pulse.silent_since
    if any(witnesses.values()):
        at = max(statements[uid].at for uid, (_, sees) in said.items() if sees)
        if host.state in SEEN and at < host.pulse.silent_since + NOTICE_SECONDS:
            return _as_before(host)
        return Finding(CUT_OFF, _cut_off(host, witnesses), witnesses)
    if host.state == DEAD:
        return _as_before(host)
    if witnesses and (not owed or silent_for >= NOTICE_SECONDS + PATIENCE_SECONDS):
        return Finding(DEAD, f"{_silence(host)}; {_nobody_sees(len(witnesses))}", witnesses)
    if not witnesses and silent_for >= LONELY_SECONDS:
        words = f"for {silent_for:.0f} s, and none of {asked} peers could be asked whether it is there"
        return Finding(DEAD, f"{_silence(host)} {words}")
    waiting = f"; waiting for the word of {', '.join(sorted(owed))}" if owed else "; no peer watches it"
    return Finding(UNKNOWN, f"{_silence(host)}{waiting}", witnesses)


def _seen(host: Host) -> Finding:
    if host.read_at:
        return Finding(READY, "the engine answers")
    return Finding(RETURNING, "the engine answers again; its containers are read before anything is placed there")


def _as_before(host: Host) -> Finding:
    return Finding(host.state, host.message, host.witnesses)


def _said(
    host: Host, seen: Iterable[Host], statements: Mapping[str, Statement], now: float
) -> tuple[dict[str, tuple[str, bool]], list[str]]:
    said: dict[str, tuple[str, bool]] = {}
    owed: list[str] = []
    for peer in seen:
        heard = statements.get(peer.uid)
        if heard is None or now - heard.at > FRESH_SECONDS:
            owed.append(peer.name)
        elif host.uid in heard.sees:
            word = heard.sees[host.uid]
            if word is None or (not word and heard.at < peer.pulse.answering_since + SETTLED_SECONDS):
                owed.append(peer.name)
            else:
                said[peer.uid] = (peer.name, word)
    return said, owed


def _silence(host: Host) -> str:
    pulse = host.pulse
    if not pulse.misses:
        return "it has not answered since this control plane started"
    return f"{pulse.misses} heartbeats were missed ({pulse.failure})"


def _alone(host: Host, count: int) -> str:
    if count == 1:
        return f"{_silence(host)}; it is the only host, so nobody else can be asked and nothing can be moved"
    return f"{_silence(host)}; none of {count} hosts answers, so this control plane is cut off: nothing is moved"


def _cut_off(host: Host, witnesses: Mapping[str, bool]) -> str:
    seeing = sum(witnesses.values())
    peers = f"{seeing} of {len(witnesses)} peers {'sees' if seeing == 1 else 'see'} it"
    return f"{_silence(host)}; {peers}, so its pods are left alone"


def _nobody_sees(count: int) -> str:
    return "its peer does not see it either" if count == 1 else f"none of {count} peers sees it either"
