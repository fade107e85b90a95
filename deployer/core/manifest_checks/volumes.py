"""Volumes and where they are mounted (Kubernetes: core/validation, ValidateVolumes)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deployer.core.manifest_checks import environment, names
from deployer.core.manifest_checks.environment import VOLUME_FIELDS, exactly_one
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.pod import Container, DownwardFile, KeyToPath, PodSpec, Volume, VolumeMount
from deployer.core.objects.quantity import memory_bytes

_SOURCES = "configMap, secret, emptyDir, projected, downwardAPI, hostPath"


def volumes(spec: PodSpec, path: Path) -> Iterator[Finding]:
    place = (*path, "volumes")
    for index, one in enumerate(spec.volumes):
        yield from names.dns_label(one.name, (*place, index, "name"))
        yield from _source(one, (*place, index), spec)
    yield from names.unique(((one.name, (*place, n, "name")) for n, one in enumerate(spec.volumes)), "volumes")


def mounts(found: Container, spec: PodSpec, path: Path) -> Iterator[Finding]:
    known = {one.name: one for one in spec.volumes}
    taken: set[str] = set()
    for index, mount in enumerate(found.volume_mounts):
        place = (*path, "volumeMounts", index)
        if mount.name not in known:
            listed = ", ".join(sorted(known)) or "none"
            message = f'there is no volume "{shown(mount.name)}"'
            yield Finding((*place, "name"), message, f"volumes of the pod: {listed}")
        yield from _mount_path(mount.mount_path, (*place, "mountPath"))
        if mount.mount_path.rstrip("/") in taken:
            yield Finding((*place, "mountPath"), "is mounted twice", "change one of them")
        taken.add(mount.mount_path.rstrip("/"))
        if mount.sub_path:
            yield from _sub_path(mount, known.get(mount.name), found, (*place, "subPath"))


def _mount_path(wanted: str, path: Path) -> Iterator[Finding]:
    parts = wanted.split("/")
    if not wanted.startswith("/") or ":" in wanted or ".." in parts:
        yield Finding(path, "must be an absolute path without ':' and '..'", "write one such as /data")
    elif not wanted.strip("/"):
        yield Finding(path, "cannot be the root of the container", "write a folder such as /data")


def _sub_path(mount: VolumeMount, volume: Volume | None, found: Container, path: Path) -> Iterator[Finding]:
    yield from relative(mount.sub_path, path)
    if volume is not None and (volume.empty_dir is not None or volume.host_path is not None):
        source = "emptyDir" if volume.empty_dir is not None else "hostPath"
        remedy = "mount the whole volume" if volume.empty_dir is not None else "put it into hostPath.path"
        yield Finding(path, f"is not supported on {source}", remedy)
    elif found.security_context.read_only_root_filesystem:
        message = "is not supported with readOnlyRootFilesystem: it becomes files of the container"
        yield Finding(path, message, "mount the whole volume")


def relative(wanted: str, path: Path) -> Iterator[Finding]:
    """A path inside a volume."""
    if not wanted or wanted.startswith("/") or ".." in wanted.split("/"):
        yield Finding(path, "must be a relative path without '..'", "write one such as conf/app.yaml")


def _source(volume: Volume, path: Path, spec: PodSpec) -> Iterator[Finding]:
    parts = (
        volume.config_map, volume.secret, volume.empty_dir, volume.host_path, volume.projected, volume.downward_api,
    )  # fmt: skip
    yield from exactly_one(sum(part is not None for part in parts), path, _SOURCES)
    if volume.config_map is not None:
        yield from names.dns_subdomain(volume.config_map.name, (*path, "configMap", "name"))
        yield from _items(volume.config_map.items, (*path, "configMap", "items"))
    if volume.secret is not None:
        yield from names.dns_subdomain(volume.secret.secret_name, (*path, "secret", "secretName"))
        yield from _items(volume.secret.items, (*path, "secret", "items"))
    if volume.host_path is not None:
        yield from _host_path(volume.host_path.path, (*path, "hostPath", "path"))
    if volume.downward_api is not None:
        yield from _downward(volume.downward_api.items, (*path, "downwardAPI", "items"), spec)
    yield from _empty_dir(volume, (*path, "emptyDir"))
    yield from _projected(volume, (*path, "projected", "sources"), spec)


def _items(items: Iterable[KeyToPath], path: Path) -> Iterator[Finding]:
    found = list(items)
    for index, item in enumerate(found):
        yield from names.config_key(item.key, (*path, index, "key"))
        yield from relative(item.path, (*path, index, "path"))
    yield from names.unique(((item.path, (*path, n, "path")) for n, item in enumerate(found)), "files")


def _host_path(wanted: str, path: Path) -> Iterator[Finding]:
    if not wanted.startswith("/") or ".." in wanted.split("/") or ":" in wanted:
        yield Finding(path, "must be an absolute path without ':' and '..'", "write one such as /srv/data")


def _empty_dir(volume: Volume, path: Path) -> Iterator[Finding]:
    if volume.empty_dir is None or volume.empty_dir.size_limit is None:
        return
    place = (*path, "sizeLimit")
    if volume.empty_dir.medium != "Memory":
        yield Finding(place, "is not held on disk", "write medium: Memory, or remove it")
    try:
        memory_bytes(volume.empty_dir.size_limit)
    except ValueError as error:
        message, _, remedy = str(error).rpartition(": ")
        yield Finding(place, message, remedy)


def _projected(volume: Volume, path: Path, spec: PodSpec) -> Iterator[Finding]:
    for index, source in enumerate(volume.projected.sources if volume.projected is not None else ()):
        place = (*path, index)
        parts = (source.config_map, source.secret, source.downward_api)
        yield from exactly_one(sum(part is not None for part in parts), place, "configMap, secret, downwardAPI")
        for name, part in (("configMap", source.config_map), ("secret", source.secret)):
            if part is not None:
                yield from names.dns_subdomain(part.name, (*place, name, "name"))
                yield from _items(part.items, (*place, name, "items"))
        if source.downward_api is not None:
            yield from _downward(source.downward_api.items, (*place, "downwardAPI", "items"), spec)


def _downward(items: Iterable[DownwardFile], path: Path, spec: PodSpec) -> Iterator[Finding]:
    found = list(items)
    everyone = (*spec.containers, *spec.init_containers)
    for index, item in enumerate(found):
        place = (*path, index)
        yield from relative(item.path, (*place, "path"))
        count = (item.field_ref is not None) + (item.resource_field_ref is not None)
        yield from exactly_one(count, place, "fieldRef, resourceFieldRef")
        if item.field_ref is not None:
            yield from environment.field_reference(item.field_ref, (*place, "fieldRef"), VOLUME_FIELDS)
        if item.resource_field_ref is not None:
            where = (*place, "resourceFieldRef")
            yield from environment.resource_reference(item.resource_field_ref, where, everyone, named=True)
    yield from names.unique(((item.path, (*path, n, "path")) for n, item in enumerate(found)), "files")
