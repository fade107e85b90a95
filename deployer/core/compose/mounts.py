"""Volumes, configs, secrets and tmpfs of a service as volumes of a pod.

What lasts as long as a pod may last is an emptyDir; files of the repository become ConfigMaps, which are read-only; an
absolute path is the host's, where the namespace is allowed host-path. Named volumes outlive pods, and are refused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

from deployer.core.compose.fields import read, refuse_rest, text_of, texts_of, truth
from deployer.core.compose.nodes import Node, Problems, is_true
from deployer.core.compose.project import Project
from deployer.core.compose.refused import NO_VOLUME
from deployer.core.compose.words import Unreadable, size_bytes
from deployer.core.rendering.collecting import resolved

_BAD = re.compile(r"[^a-z0-9-]+")
_MODES = ("ro", "rw", "cached", "delegated", "consistent", "nocopy")
_SECRETS = "/run/secrets"
_WRITE = "stands in the repository, where a pod cannot write"


def object_name(text: str) -> str:
    """A name that nobody outside refers to, as Kubernetes wants it."""
    return _BAD.sub("-", text.lower().replace("_", "-")).strip("-")[:63].rstrip("-")


def bind_source(volume: Node) -> str:
    """The relative path of a bind mount that is only read, "" for anything else."""
    if volume.is_text:
        parts = volume.text.split(":")
        return parts[0] if len(parts) > 2 and parts[0].startswith(".") and "ro" in parts[2].split(",") else ""
    kind, source = volume.get("type"), volume.get("source")
    if kind is None or source is None or kind.text != "bind" or not is_true(volume.get("read_only")):
        return ""
    return "" if source.text.startswith(("/", "~")) else source.text


class Mounts:
    """The volumes of one service's pod. `objects`: (kind, name, where, body) that hold what is mounted."""

    def __init__(self, name: str, service: Node, project: Project, problems: Problems) -> None:
        self.name, self.service, self.project, self.problems = name, service, project, problems
        self.volumes: list[dict[str, Any]] = []
        self.mounts: list[dict[str, Any]] = []
        self.objects: list[tuple[str, str, Node, dict[str, Any]]] = []

    def read(self) -> None:
        volumes = self.service.get("volumes")
        for one in volumes.list if volumes is not None else ():
            self._volume(one)
        for one in texts_of(self.service.get("tmpfs"), self.problems):
            self._tmpfs(one, one.text)
        shared = self.service.get("shm_size")
        if shared is not None and (size := read(shared, size_bytes, self.problems)) is not None:
            self._add({"emptyDir": {"medium": "Memory", "sizeLimit": str(size)}}, "/dev/shm", "shm")  # noqa: S108
        self._configs()
        self._secrets()

    def _add(self, source: dict[str, Any], target: str, name: str = "", **mount: Any) -> None:
        name = name or f"volume-{len(self.volumes) + 1}"
        if not any(one["name"] == name for one in self.volumes):
            self.volumes.append({"name": name, **source})
        self.mounts.append({"name": name, "mountPath": target, **mount})

    def _volume(self, one: Node) -> None:
        if not one.is_text:
            self._long(one)
            return
        parts = one.text.split(":")
        source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
        modes = parts[2].split(",") if len(parts) > 2 else []
        wrong = [mode for mode in modes if mode not in _MODES]
        if wrong or len(parts) > 3 or not target.startswith("/"):
            message = f"{', '.join(wrong)} is not mapped" if wrong else f"{one.text!r} is not a volume"
            self.problems.error(one, message, "write SOURCE:/TARGET or SOURCE:/TARGET:ro")
            return
        self._mounted(one, source, target, "ro" in modes)

    def _long(self, one: Node) -> None:
        kind, target = text_of(one.get("type"), self.problems), text_of(one.get("target"), self.problems)
        source, read_only = text_of(one.get("source"), self.problems), truth(one.get("read_only"), self.problems)
        honoured = ("type", "source", "target", "read_only", "consistency", kind if kind == "tmpfs" else "")
        refuse_rest(one, honoured, _OPTIONS, self.problems, "a volume")
        if not target.startswith("/"):
            self.problems.error(one, "has no absolute target", "write target: /PATH")
        elif kind == "tmpfs":
            options = one.get("tmpfs")
            if options is not None:
                refuse_rest(options, ("size",), {"mode": "write it into the image's folder"}, self.problems, "tmpfs")
            size = options.get("size") if options is not None else None
            self._tmpfs(size or one, f"{target}:size={size.text}" if size is not None else target)
        elif kind in ("bind", "volume", ""):
            self._mounted(one, source, target, read_only)
        else:
            self.problems.error(one, f"volumes of type {kind} are not mapped", "use bind, volume or tmpfs")

    def _mounted(self, one: Node, source: str, target: str, read_only: bool) -> None:
        only: dict[str, Any] = {"readOnly": True} if read_only else {}
        if not source:
            self._add({"emptyDir": {}}, target, "", **only)
        elif source.startswith("/"):
            self._add({"hostPath": {"path": source}}, target, "", **only)
        elif source.startswith("~"):
            self.problems.error(one, f"{source} is somebody's home", "write the host's path, from / on")
        elif source.startswith("."):
            self._from_repository(one, source, target, read_only)
        else:
            self.problems.error(one, f"the volume {source} is not mapped: {NO_VOLUME.partition(': ')[0]}",
                                NO_VOLUME.partition(": ")[2])  # fmt: skip

    def _from_repository(self, one: Node, source: str, target: str, read_only: bool) -> None:
        path = resolved(one.file.rpartition("/")[0], source)
        if path is None:
            self.problems.error(one, f"{source} leads out of the repository", "keep it inside")
            return
        if not read_only:
            self.problems.error(one, f"{source} {_WRITE}", f"write {source}:{target}:ro; or, for data, another volume")
            return
        name = f"{object_name(self.name)}-files-{len(self.objects) + 1}"
        files = self.project.files
        if path in files:
            key = path.rpartition("/")[2]
            self.objects.append(("ConfigMap", name, one, content({key: files[path]})))
            self._add({"configMap": {"name": name}}, target, name, subPath=key, readOnly=True)
            return
        prefix = f"{path}/" if path else ""
        inside = {file.removeprefix(prefix): data for file, data in files.items() if file.startswith(prefix)}
        deep = next((file for file in sorted(inside) if "/" in file), "")
        if deep or not inside:
            message = f"{source} has folders in it ({deep})" if deep else f"{source} is not in the repository, or empty"
            remedy = "mount each folder by itself" if deep else "push the files"
            self.problems.error(one, message, remedy)
            return
        self.objects.append(("ConfigMap", name, one, content(inside)))
        self._add({"configMap": {"name": name}}, target, name, readOnly=True)

    def _tmpfs(self, node: Node, text: str) -> None:
        target, _, options = text.partition(":")
        limit: dict[str, Any] = {"medium": "Memory"}
        for option in filter(None, options.split(",")):
            name, _, value = option.partition("=")
            if name != "size":
                self.problems.error(node, f"the option {name} of a tmpfs is not mapped", "write size=... alone")
                continue
            try:
                limit["sizeLimit"] = str(size_bytes(value))
            except Unreadable as why:
                self.problems.error(node, why.message, why.remedy)
        self._add({"emptyDir": limit}, target)

    def _configs(self) -> None:
        for one in _listed(self.service, "configs"):
            source, target, mode = self._reference(one, "configs")
            if source:
                key, name = _key(source), object_name(source)
                items = [{"key": key, "path": key, **mode}]
                volume = f"config-{name}-{len(self.volumes) + 1}"[:63]
                self._add(
                    {"configMap": {"name": name, **({"items": items} if mode else {})}}, target or f"/{source}", volume,
                    subPath=key, readOnly=True,
                )  # fmt: skip

    def _secrets(self) -> None:
        """Those with the usual place stand in one volume, so that they can be updated together."""
        sources: list[dict[str, Any]] = []
        for one in _listed(self.service, "secrets"):
            source, target, mode = self._reference(one, "secrets")
            key, name = _key(source), object_name(source)
            if source and target.startswith("/"):
                items = [{"key": key, "path": key, **mode}]
                volume = f"secret-{name}-{len(self.volumes) + 1}"[:63]
                self._add({"secret": {"secretName": name, "items": items}}, target, volume, subPath=key, readOnly=True)
            elif source:
                sources.append({"secret": {"name": name, "items": [{"key": key, "path": target or source, **mode}]}})
        if sources:
            self._add({"projected": {"sources": sources}}, _SECRETS, "secrets", readOnly=True)

    def _reference(self, one: Node, section: str) -> tuple[str, str, dict[str, Any]]:
        """(name of the config or secret, where it goes, its mode); ("", "", {}) when there is no such thing."""
        mode: dict[str, Any] = {}
        target = ""
        node = one
        if not one.is_text:
            whose = "files belong to the user of the container (user) and its group: remove it"
            refuse_rest(one, ("source", "target", "mode"), {"uid": whose, "gid": whose}, self.problems, section[:-1])
            target = text_of(one.get("target"), self.problems)
            if (given := one.get("mode")) is not None and (bits := read(given, _bits, self.problems)) is not None:
                mode = {"mode": bits}
            node = one.get("source") or one
        if node.text not in self.project.section(section):
            known = ", ".join(self.project.section(section)) or "none"
            self.problems.error(one, f"there is no {section[:-1]} {node.text!r}", f"{section} at the end: {known}")
            return "", "", {}
        return node.text, target, mode


def kept_objects(project: Project, problems: Problems) -> Iterable[tuple[str, str, Node, dict[str, Any]]]:
    """The configs and secrets that services use, as (kind, name, where, body)."""
    for section, kind in (("configs", "ConfigMap"), ("secrets", "Secret")):
        used = {
            (one if one.is_text else one.get("source") or one).text
            for service in project.services.values()
            for one in _listed(service, section)
        }
        taken: dict[str, str] = {}
        for name, node in project.section(section).items():
            if name not in used:
                continue
            made = object_name(name)
            if made in taken:
                problems.error(node, f"{name} and {taken[made]} would both be the {kind} {made}", "rename one of them")
            taken[made] = name
            data = _data(name, node, section, project, problems)
            if data is not None:
                yield kind, made, node, content({_key(name): data}, secret=kind == "Secret")


def _data(name: str, node: Node, section: str, project: Project, problems: Problems) -> bytes | None:
    what = section[:-1]
    refuse_rest(node, ("file", "content", "environment", "name"), _OBJECT, problems, f"a {what}")
    if (file := node.get("file")) is not None:
        path = resolved(file.file.rpartition("/")[0], file.text)
        if path is None or path not in project.files:
            problems.error(file, f"{file.text} is not in the repository", "correct the path, or push the file")
            return None
        return project.files[path]
    if (written := node.get("content")) is not None and what == "config":
        return written.text.encode()
    if (variable := node.get("environment")) is not None:
        if variable.text in project.values:
            return project.values[variable.text].encode()
        problems.error(variable, f"the variable {variable.text} has no value", "write it into the .env file")
        return None
    if not any(one.startswith("external") for one in node.map):
        problems.error(node, f"the {what} {name} has no content", "write file: PATH, or environment: NAME")
    return None


def content(files: Mapping[str, bytes], *, secret: bool = False) -> dict[str, Any]:
    """The body of a ConfigMap or Secret."""
    if secret:
        return {"type": "Opaque", "data": {key: base64.b64encode(data).decode() for key, data in files.items()}}
    texts: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, data in files.items():
        try:
            texts[key] = data.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(data).decode()
    return {**({"data": texts} if texts else {}), **({"binaryData": binary} if binary else {})}


def _listed(service: Node, section: str) -> Iterable[Node]:
    found = service.get(section)
    return found.list if found is not None else ()


def _key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _bits(text: str) -> int:
    digits = text.removeprefix("0o").lstrip("0") or "0"
    if not re.fullmatch(r"[0-7]{1,4}", digits):
        raise Unreadable(f'"{text[:20]}" is not a file mode', "write one such as 0440")
    return int(digits, 8)


_OPTIONS = {
    "bind": "the host's folder is mounted as it is: remove it",
    "volume": "options of volumes are not supported: remove it",
    "image": "copy the files from the image in the image's own build: remove it",
    "tmpfs": "it is for type: tmpfs",
}
_OBJECT = {
    "external": "its content must stand in the repository: write file, or environment",
    "labels": "remove it",
    "driver": "secrets come from the repository: write file",
    "driver_opts": "secrets come from the repository: write file",
    "template_driver": "files are taken as they are: remove it",
}
