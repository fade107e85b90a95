"""The container of a Compose service: what it runs, with which variables, as whom, and how it is probed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from deployer.core.compose.fields import number, read, refuse_rest, text_of, texts_of, truth
from deployer.core.compose.merging import pairs
from deployer.core.compose.needs import env_files
from deployer.core.compose.nodes import Node, Problems
from deployer.core.compose.project import Project
from deployer.core.compose.variables import read_env, read_raw_env
from deployer.core.compose.words import literal, seconds, split, whole
from deployer.core.manifests import ManifestError
from deployer.core.rendering.collecting import resolved

_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_PULL = {"always": "Always", "missing": "IfNotPresent", "if_not_present": "IfNotPresent", "never": "Never"}
_USUAL_SECONDS, _USUAL_RETRIES = 30, 3
"""What Docker's health checks do where a file says nothing."""


def container(name: str, service: Node, project: Project, problems: Problems) -> dict[str, Any]:
    """The container but for its mounts, ports and resources."""
    made: dict[str, Any] = {"name": name, "image": _image(name, service, problems)}
    made.update(_commands(service, problems))
    if pull := _pull_policy(service, problems):
        made["imagePullPolicy"] = pull
    if variables := _environment(service, project, problems):
        made["env"] = variables
    if folder := text_of(service.get("working_dir"), problems):
        made["workingDir"] = folder
    for theirs, ours in (("stdin_open", "stdin"), ("tty", "tty")):
        if truth(service.get(theirs), problems):
            made[ours] = True
    if context := security(service, problems):
        made["securityContext"] = context
    made.update(_probe(service, problems))
    made.update(_hooks(service, problems))
    return made


def env_file_values(service: Node, project: Project, problems: Problems) -> dict[str, str]:
    """What its env files say, the later ones over the earlier. They often hold passwords: it becomes a Secret."""
    made: dict[str, str] = {}
    for node, required, raw in env_files(service):
        path = resolved(node.file.rpartition("/")[0], node.text)
        if path is None or path not in project.files:
            if required or path is None:
                problems.error(node, f"{node.text} is not in the repository", "correct the path, or push the file")
            continue

        def fail(line: int, message: str, remedy: str, file: str = path) -> None:
            problems.errors.append(ManifestError(file, line, "", message, remedy))

        data = project.files[path]
        found = read_raw_env(data, fail) if raw else read_env(data, {**project.values, **made}, fail)
        made.update({key: value for key, value in found.items() if value is not None})
        made.update(
            {key: project.values[key] for key, value in found.items() if value is None and key in project.values}
        )
    return made


def security(service: Node, problems: Problems) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if truth(service.get("privileged"), problems):
        made["privileged"] = True
    if truth(service.get("read_only"), problems):
        made["readOnlyRootFilesystem"] = True
    given = {
        ours: [_capability(one.text) for one in texts_of(service.get(theirs), problems)]
        for theirs, ours in (("cap_add", "add"), ("cap_drop", "drop"))
    }
    if any(given.values()):
        made["capabilities"] = {key: value for key, value in given.items() if value}
    made.update(_user(service.get("user"), problems))
    for one in texts_of(service.get("security_opt"), problems):
        match one.text.replace("=", ":").split(":"):
            case ["no-new-privileges"] | ["no-new-privileges", "true"]:
                made["allowPrivilegeEscalation"] = False
            case ["seccomp", "unconfined"]:
                made["seccompProfile"] = {"type": "Unconfined"}
            case _:
                remedy = "write no-new-privileges:true or seccomp:unconfined, or remove it"
                problems.error(one, f"{one.text[:60]!r} is not mapped", remedy)
    return made


def marks(found: Node | None, problems: Problems) -> dict[str, str]:
    """Labels of containers may say anything, as annotations may. Sysctls are written alike."""
    made = {}
    for key, one in (pairs(found) if found is not None else {}).items():
        if one.is_text or one.value is None:
            made[key] = one.text
        else:
            problems.error(one, f"the value of {key} must be text", "write one value")
    return made


def _image(name: str, service: Node, problems: Problems) -> str:
    image, build = service.get("image"), service.get("build")
    if build is not None and image is None:
        remedy = "build it in your pipeline, push it to a registry, and write image: REGISTRY/NAME:TAG"
        problems.error(build, "images are not built here", remedy)
    elif build is not None and image is not None:
        problems.warn(build, f"is not done here: {image.text} must be in a registry")
    elif image is None:
        problems.error(service, f"service {name} has no image", "write image: NAME:TAG")
    return text_of(image, problems)


def _pull_policy(service: Node, problems: Problems) -> str:
    found = service.get("pull_policy")
    if found is None:
        return ""
    if found.text not in _PULL:
        problems.error(found, f"{found.text[:60]!r} is not mapped", f"write one of {', '.join(_PULL)}")
    return _PULL.get(found.text, "")


def _commands(service: Node, problems: Problems) -> dict[str, Any]:
    """Compose's entrypoint is Kubernetes' command, and its command the args."""
    made: dict[str, Any] = {}
    for theirs, ours in (("entrypoint", "command"), ("command", "args")):
        found = service.get(theirs)
        if found is None:
            continue
        words = _words(found, problems)
        if words:
            made[ours] = [literal(word) for word in words]
        elif words is not None:
            remedy = "write what is to run, as entrypoint; or remove it, for what the image says"
            problems.error(found, f"an empty {theirs}, which takes away the image's own, is not mapped", remedy)
    return made


def _words(found: Node, problems: Problems) -> list[str] | None:
    """None with an error when it cannot be read."""
    if found.is_text:
        return read(found, split, problems)
    return [one.text for one in texts_of(found, problems)]


def _environment(service: Node, project: Project, problems: Problems) -> list[dict[str, str]]:
    found = service.get("environment")
    made = []
    for name, one in (pairs(found) if found is not None else {}).items():
        if not _VARIABLE.fullmatch(name):
            problems.error(one, f"{name[:60]!r} is not a name of a variable", "write letters, digits and '_'")
        elif one.value is None:
            if name in project.values:
                made.append({"name": name, "value": literal(project.values[name])})
            else:
                problems.warn(
                    one, f"{name} has no value and is left out", "write one into the .env file, if it is needed"
                )
        elif one.is_text:
            made.append({"name": name, "value": literal(one.text)})
        else:
            problems.error(one, f"the value of {name} must be text", "write one value")
    return made


def _user(found: Node | None, problems: Problems) -> dict[str, int]:
    if found is None:
        return {}
    user, _, group = ("0" if found.text == "root" else found.text).partition(":")
    if not all(part.isdecimal() and len(part) < 10 for part in (user, *([group] if group else []))):
        remedy = 'write the numbers, such as "1000:1000": names are known inside the image alone'
        problems.error(found, f"{found.text[:60]!r} names a user", remedy)
        return {}
    return {"runAsUser": int(user), **({"runAsGroup": int(group)} if group else {})}


def _probe(service: Node, problems: Problems) -> dict[str, Any]:
    """A health check says whether a container may serve; it never restarts one. So it is a readiness probe.

    `start_period` needs nothing: a pod is not ready before its first success, and failures before it have no effect.
    """
    found = service.get("healthcheck")
    if found is None:
        return {}
    honoured = ("test", "interval", "timeout", "retries", "start_period", "disable", "start_interval")
    refuse_rest(found, honoured, {}, problems, "a health check")
    command = _test(found, problems)
    if command is None:
        return {}
    if (often := found.get("start_interval")) is not None:
        problems.warn(often, "is not mapped: probes are made every interval, also in the beginning")
    return {
        "readinessProbe": {
            "exec": {"command": [literal(word) for word in command]},
            "periodSeconds": _seconds(found.get("interval"), problems, _USUAL_SECONDS),
            "timeoutSeconds": _seconds(found.get("timeout"), problems, _USUAL_SECONDS),
            "failureThreshold": number(found.get("retries"), problems, lowest=1) or _USUAL_RETRIES,
        }
    }


def _test(found: Node, problems: Problems) -> list[str] | None:
    """The command, None when there is no check."""
    test = found.get("test")
    if truth(found.get("disable"), problems):
        return None
    if test is None:
        problems.error(found, "has no test", "write test: [CMD, ...]; the image's own health check is not used")
        return None
    if test.is_text:
        return ["/bin/sh", "-c", test.text]
    words = [one.text for one in texts_of(test, problems)]
    match words:
        case ["NONE"]:
            return None
        case ["CMD", _, *_]:
            return words[1:]
        case ["CMD-SHELL", line]:
            return ["/bin/sh", "-c", line]
    problems.error(test, "begins with neither CMD, CMD-SHELL nor NONE", "write [CMD, program, ...]")
    return None


def _seconds(found: Node | None, problems: Problems, usual: int) -> int:
    """Whole seconds, at least one: Kubernetes knows no parts of them."""
    if found is None:
        return usual
    given = read(found, seconds, problems)
    if given is None:
        return usual
    if given != int(given) or given < 1:
        problems.error(found, f"{found.text} is not a whole number of seconds", "write 1s or more")
    return max(int(given), 1)


def grace_seconds(service: Node, problems: Problems) -> int:
    """Compose's own default is 10 seconds."""
    found = service.get("stop_grace_period")
    given = read(found, seconds, problems) if found is not None else 10
    return round(given or 0)


def _hooks(service: Node, problems: Problems) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for theirs, ours in (("post_start", "postStart"), ("pre_stop", "preStop")):
        found = service.get(theirs)
        if found is None:
            continue
        if len(found.list) != 1:
            problems.error(found, "must be one command", "write one script that does all of it")
            continue
        hook = found.list[0]
        as_pod = "it runs as the container does: remove it"
        named = ("user", "privileged", "working_dir", "environment")
        refuse_rest(hook, ("command",), dict.fromkeys(named, as_pod), problems, "a hook")
        command = hook.get("command")
        words = _words(command, problems) if command is not None else None
        if words:
            made[ours] = {"exec": {"command": [literal(word) for word in words]}}
        else:
            problems.error(hook, "has no command", "write command: [...]")
    return {"lifecycle": made} if made else {}


def _capability(text: str) -> str:
    return text.upper().removeprefix("CAP_")


def sysctls(found: Node | None, problems: Problems) -> list[dict[str, str]]:
    return [{"name": key, "value": value} for key, value in marks(found, problems).items()]


def groups(found: Node | None, problems: Problems) -> list[int]:
    made = []
    for one in texts_of(found, problems):
        if (given := read(one, lambda text: whole(text, 0), problems)) is not None:
            made.append(given)
    return made


def host_aliases(found: Node | None, problems: Problems) -> list[dict[str, Any]]:
    """ "host:address", "host=address", or a map; a host may have several addresses."""
    rows: dict[str, list[str]] = {}
    for host, address, node in _extra_hosts(found, problems):
        address = address.strip("[]")
        if address == "host-gateway" or not re.fullmatch(r"[0-9a-fA-F.:]+", address):
            problems.error(node, f"{address[:60]!r} is no address", "write an IP address")
        else:
            rows.setdefault(address, []).append(host)
    return [{"ip": address, "hostnames": hosts} for address, hosts in rows.items()]


def _extra_hosts(found: Node | None, problems: Problems) -> Iterable[tuple[str, str, Node]]:
    if found is None:
        return
    for host, one in found.items():
        for each in texts_of(one, problems):
            yield host, each.text, each
    for one in found.list:
        separator = "=" if "=" in one.text else ":"
        host, _, address = one.text.partition(separator)
        yield host, address, one
