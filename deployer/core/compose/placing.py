"""How many pods of a service run, where, with how much, and how they are replaced: `deploy` and its older spellings."""

from __future__ import annotations

import re
from typing import Any

from deployer.core.compose.fields import number, read, refuse_rest, text_of, texts_of
from deployer.core.compose.nodes import Node, Problems
from deployer.core.compose.refused import DEPLOY, RESTART_POLICY, UPDATE
from deployer.core.compose.words import millicores, seconds, size_bytes

_CONSTRAINT = re.compile(r"\s*(node\.[A-Za-z0-9._/-]+)\s*(==|!=)\s*([A-Za-z0-9._-]*)\s*")
_KEYS = {
    "node.hostname": "kubernetes.io/hostname",
    "node.platform.os": "kubernetes.io/os",
    "node.platform.arch": "kubernetes.io/arch",
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_ONE_SHOT = "what runs once and ends is not supported yet: run it from your pipeline"
_MIB = 1 << 20


class Placing:
    """What `deploy` and its like say. `node` is the service."""

    def __init__(self, service: Node, problems: Problems) -> None:
        self.service, self.problems = service, problems
        self.deploy = service.get("deploy") or Node({}, service.file, service.line, (*service.path, "deploy"))
        honoured = ("mode", "replicas", "labels", "update_config", "resources", "restart_policy", "placement")
        refuse_rest(self.deploy, honoured, DEPLOY, problems, "deploy")

    def replicas(self) -> int:
        mode = self.deploy.get("mode")
        if mode is not None and mode.text != "replicated":
            why = (
                _ONE_SHOT
                if mode.text.endswith("-job")
                else "one pod on every host is not supported yet: write replicas"
            )
            self.problems.error(mode, f"{mode.text[:40]!r} is not mapped", why)
        found = self._one(self.deploy.get("replicas"), self.service.get("scale"))
        given = number(found, self.problems, highest=10_000)
        return 1 if given is None else given

    def _one(self, new: Node | None, old: Node | None) -> Node | None:
        """What two spellings of one thing say."""
        if new is not None and old is not None and new.text != old.text:
            self.problems.error(old, f"says {old.text[:40]}, and deploy says {new.text[:40]}", "keep one of the two")
        return new or old

    def check_restart(self) -> None:
        """A Deployment's pods are restarted whatever they end with."""
        restart = self.service.get("restart")
        if restart is not None and restart.text not in ("always", "unless-stopped"):
            self.problems.error(
                restart, f"{restart.text[:40]!r} is not mapped: pods are always restarted", _restart(restart)
            )
        policy = self.deploy.get("restart_policy")
        if policy is None:
            return
        refuse_rest(policy, ("condition",), RESTART_POLICY, self.problems, "restart_policy")
        condition = policy.get("condition")
        if condition is not None and condition.text != "any":
            message = f"{condition.text[:40]!r} is not mapped: pods are always restarted"
            self.problems.error(condition, message, f"write any; {_ONE_SHOT}")

    def resources(self) -> dict[str, Any]:
        """Limits and requests; older files say them beside `deploy`."""
        given = self.deploy.get("resources")
        made: dict[str, dict[str, str]] = {"limits": {}, "requests": {}}
        if given is not None:
            refuse_rest(given, ("limits", "reservations"), {}, self.problems, "resources")
        devices = {
            "devices": "devices are not given to pods yet: remove it", "generic_resources": "remove it",
            "pids": "processes are not limited here: remove it",
        }  # fmt: skip
        for theirs, ours, older in (
            ("limits", "limits", ("cpus", "mem_limit")), ("reservations", "requests", ("", "mem_reservation")),
        ):  # fmt: skip
            part = given.get(theirs) if given is not None else None
            if part is not None:
                refuse_rest(part, ("cpus", "memory"), devices, self.problems, theirs)
            older_cpus = self.service.get(older[0]) if older[0] else None
            cpus = self._one(part.get("cpus") if part is not None else None, older_cpus)
            memory = self._one(part.get("memory") if part is not None else None, self.service.get(older[1]))
            if cpus is not None and (milli := read(cpus, millicores, self.problems)):
                made[ours]["cpu"] = f"{milli}m"
            if memory is not None and (count := read(memory, size_bytes, self.problems)):
                made[ours]["memory"] = f"{count // _MIB}Mi" if count % _MIB == 0 else str(count)
        return {key: value for key, value in made.items() if value}

    def strategy(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """(strategy, minReadySeconds, annotations)."""
        found = self.deploy.get("update_config")
        if found is None:
            return {}, 0, {}
        refuse_rest(found, ("parallelism", "delay", "order", "failure_action"), UPDATE, self.problems, "update_config")
        order, count = text_of(found.get("order"), self.problems), number(found.get("parallelism"), self.problems)
        at_once: int | str = "100%" if count == 0 else count or 1
        first = order == "start-first"
        if order not in ("", "start-first", "stop-first"):
            self.problems.error(found.map["order"], f"{order[:40]!r} is not mapped", "write start-first or stop-first")
        rolling = {"maxSurge": at_once if first else 0, "maxUnavailable": 0 if first else at_once}
        delay = read(found.map["delay"], seconds, self.problems) if found.get("delay") is not None else 0
        return {"type": "RollingUpdate", "rollingUpdate": rolling}, round(delay or 0), self._failure(found)

    def _failure(self, found: Node) -> dict[str, str]:
        action = found.get("failure_action")
        if action is None or action.text == "rollback":
            return {}
        if action.text != "pause":
            remedy = "write rollback or pause: a rollout that breaks never goes on by itself"
            self.problems.error(action, f"{action.text[:40]!r} is not mapped", remedy)
        return {"pierhead.io/auto-rollback": "off"}

    def placement(self, labels: dict[str, str]) -> dict[str, Any]:
        """Fields of the pod: nodeSelector, affinity, topologySpreadConstraints."""
        selector = self._platform()
        excluded: list[dict[str, Any]] = []
        made: dict[str, Any] = {}
        found = self.deploy.get("placement")
        if found is not None:
            refuse_rest(found, ("constraints", "preferences", "max_replicas_per_node"), {}, self.problems, "placement")
            for one in texts_of(found.get("constraints"), self.problems):
                self._constraint(one, selector, excluded)
            made.update(self._spread(found, labels))
            made.update(self._at_most(found, labels))
        if excluded:
            terms = {"nodeSelectorTerms": [{"matchExpressions": excluded}]}
            made.setdefault("affinity", {})["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        return {**({"nodeSelector": selector} if selector else {}), **made}

    def _platform(self) -> dict[str, str]:
        found = self.service.get("platform")
        if found is None:
            return {}
        system, _, architecture = found.text.partition("/")
        if system != "linux" or "/" in architecture:
            self.problems.error(found, f"{found.text[:40]!r} is not mapped", "write linux/amd64 or linux/arm64")
            return {}
        return {"kubernetes.io/arch": architecture} if architecture else {}

    def _constraint(self, one: Node, selector: dict[str, str], excluded: list[dict[str, Any]]) -> None:
        match = _CONSTRAINT.fullmatch(one.text)
        key = _key(match[1]) if match else ""
        if match is None or not key:
            remedy = "write node.labels.KEY==VALUE or node.hostname==NAME; labels are given by `manage.py node label`"
            self.problems.error(one, f"{one.text[:60]!r} is not mapped", remedy)
            return
        value = _ARCHITECTURES.get(match[3], match[3]) if key == "kubernetes.io/arch" else match[3]
        if match[2] == "!=":
            excluded.append({"key": key, "operator": "NotIn", "values": [value]})
        elif selector.get(key, value) != value:
            self.problems.error(one, f"{key} cannot be both {selector[key]} and {value}", "keep one of the two")
        else:
            selector[key] = value

    def _spread(self, found: Node, labels: dict[str, str]) -> dict[str, Any]:
        preferences = found.get("preferences")
        rows = []
        for one in preferences.list if preferences is not None else ():
            key = _key(text_of(one.get("spread"), self.problems))
            if not key:
                self.problems.error(one, "is not mapped", "write spread: node.labels.KEY")
                continue
            rows.append({
                "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            })  # fmt: skip
        return {"topologySpreadConstraints": rows} if rows else {}

    def _at_most(self, found: Node, labels: dict[str, str]) -> dict[str, Any]:
        most = number(found.get("max_replicas_per_node"), self.problems)
        if not most:
            return {}
        if most > 1:
            self.problems.error(found.map["max_replicas_per_node"], f"{most} is not mapped", "write 1, or spread")
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
        return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def _key(name: str) -> str:
    """The label of a node that Swarm's word means; "" when there is none."""
    return _KEYS.get(name) or (name.removeprefix("node.labels.") if name.startswith("node.labels.") else "")


def _restart(restart: Node) -> str:
    if restart.text in ("no", "false"):
        return f"write unless-stopped; {_ONE_SHOT}"
    return "write unless-stopped"
