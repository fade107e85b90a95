"""A pod's volumes: what is made on the host, which files they hold, and where a container sees them.

configMap, secret, projected and downwardAPI volumes are named volumes of the pod, filled before its containers start
and mounted read-only; emptyDir is an empty one that lives as long as the pod, or tmpfs; hostPath is a bind mount. A
`subPath` of a config volume becomes files of the container itself, which Kubernetes does not update either.

A volume's name ends in the start of the pod's uid: without it, pod `b-c` of namespace `a` and pod `c` of namespace
`a-b` would share their secrets, and a pod that returns under its old name would find the leavings of the last.

Never shows content: sentences name objects and keys, digests are salted with the pod's uid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from deployer.core.actions import EnsureVolume
from deployer.core.container import (
    LABEL_CLUSTER,
    LABEL_NAMESPACE,
    LABEL_POD,
    LABEL_POD_UID,
    FileEntry,
    Mount,
    VolumeSpec,
)
from deployer.core.objects.pod import (
    Container,
    DownwardFile,
    KeyToPath,
    ProjectedSource,
    Volume,
    VolumeMount,
)
from deployer.core.objects.quantity import memory_bytes
from deployer.core.pod_desired import PodDesired
from deployer.core.pod_environment import ConfigProblem, field_value, resource_value

Files = Mapping[str, tuple[bytes, int]]
"""Path inside the volume -> content and mode."""


def volume_name(desired: PodDesired, volume: Volume) -> str:
    return f"pierhead-{desired.namespace}-{desired.name}-{volume.name}-{desired.uid[:8]}"


def own_volumes(desired: PodDesired) -> tuple[Volume, ...]:
    """The volumes that live and die with the pod."""
    return tuple(one for one in desired.spec.volumes if one.host_path is None)


def ensure_volume(desired: PodDesired, volume: Volume, cluster_id: str) -> EnsureVolume:
    """The step that makes and fills a volume; raises ConfigProblem when an object or key is missing."""
    memory = volume.empty_dir is not None and volume.empty_dir.medium == "Memory"
    limit = volume.empty_dir.size_limit if volume.empty_dir is not None else None
    spec = VolumeSpec(
        name=volume_name(desired, volume),
        labels={
            LABEL_CLUSTER: cluster_id,
            LABEL_NAMESPACE: desired.namespace,
            LABEL_POD: desired.name,
            LABEL_POD_UID: desired.uid,
        },
        memory=memory,
        size_bytes=memory_bytes(limit) if memory and limit else 0,
    )
    # tmpfs is empty again with every mount and open to everyone by itself: nothing can be, or needs to be, written.
    return EnsureVolume(spec, () if memory else _entries(desired, volume))


def content_digest(desired: PodDesired, step: EnsureVolume) -> str:
    """Tells one content of a volume from another; says nothing about it."""
    digest = hashlib.sha256(desired.uid.encode())
    for entry in step.files:
        head = f"\0{entry.path}\0{entry.mode}\0{entry.gid}\0{entry.is_folder}\0{len(entry.data)}\0"
        digest.update(head.encode() + entry.data)
    return digest.hexdigest()[:16]


def mounted(desired: PodDesired, container: Container) -> tuple[Volume, ...]:
    """The volumes a container uses, in the pod's order."""
    names = {mount.name for mount in container.volume_mounts}
    return tuple(one for one in desired.spec.volumes if one.name in names)


def mounts(desired: PodDesired, container: Container) -> tuple[Mount, ...]:
    volumes = {one.name: one for one in desired.spec.volumes}
    whole = [mount for mount in container.volume_mounts if not mount.sub_path]
    return tuple(_mount(desired, volumes[mount.name], mount) for mount in whole)


def container_files(desired: PodDesired, container: Container) -> tuple[FileEntry, ...]:
    """What `subPath` mounts put into the container's own file system; raises ConfigProblem."""
    volumes = {one.name: one for one in desired.spec.volumes}
    entries: list[FileEntry] = []
    for mount in container.volume_mounts:
        if mount.sub_path:
            entries.extend(_sub_path(desired, container, volumes[mount.name], mount))
    return tuple(entries)


def _mount(desired: PodDesired, volume: Volume, mount: VolumeMount) -> Mount:
    if volume.host_path is not None:
        return Mount(volume.host_path.path, mount.mount_path, read_only=mount.read_only, is_host_path=True)
    read_only = mount.read_only or volume.empty_dir is None
    return Mount(volume_name(desired, volume), mount.mount_path, read_only=read_only)


def _entries(desired: PodDesired, volume: Volume) -> tuple[FileEntry, ...]:
    """The root, then folders and files by path. An emptyDir is open to every user of the pod, as in Kubernetes."""
    group = desired.spec.security_context.fs_group
    if volume.empty_dir is not None:
        mode = 0o777 if group is None else 0o2777
        return (FileEntry(".", mode=mode, gid=group or 0, is_folder=True),)
    root = () if group is None else (FileEntry(".", mode=0o2755, gid=group, is_folder=True),)
    return root + tuple(_laid_out(_files(desired, volume), group))


def _laid_out(files: Files, group: int | None) -> Iterator[FileEntry]:
    """Files with the folders they stand in. With an fsGroup its members may read all (Kubernetes' rule)."""
    folders = {path[:index] for path in files for index, sign in enumerate(path) if sign == "/"}
    for folder in sorted(folders):
        yield FileEntry(folder, mode=0o755 if group is None else 0o2755, gid=group or 0, is_folder=True)
    for path in sorted(files):
        data, mode = files[path]
        yield FileEntry(path, data, mode=mode if group is None else mode | 0o440, gid=group or 0)


def _files(desired: PodDesired, volume: Volume) -> Files:
    where = f"volumes[{volume.name}]"
    if (config := volume.config_map) is not None:
        return _keys(desired, "ConfigMap", config.name, config.items, config.default_mode, config.optional, where)
    if (secret := volume.secret) is not None:
        return _keys(desired, "Secret", secret.secret_name, secret.items, secret.default_mode, secret.optional, where)
    if (downward := volume.downward_api) is not None:
        return _downward(desired, downward.items, downward.default_mode, where)
    files: dict[str, tuple[bytes, int]] = {}
    if (projected := volume.projected) is not None:
        for index, source in enumerate(projected.sources):
            files |= _projected(desired, source, projected.default_mode, f"{where}.projected.sources[{index}]")
    return files


def _projected(desired: PodDesired, source: ProjectedSource, mode: int, where: str) -> Files:
    if source.downward_api is not None:
        return _downward(desired, source.downward_api.items, mode, where)
    kind, named = ("Secret", source.secret) if source.config_map is None else ("ConfigMap", source.config_map)
    if named is None:
        return {}
    return _keys(desired, kind, named.name, named.items, mode, named.optional, where)


def _keys(
    desired: PodDesired, kind: str, name: str, items: Sequence[KeyToPath], mode: int, optional: bool, where: str
) -> Files:
    """All keys of an object as files, or those of `items` under their paths."""
    held = desired.config.get((kind, name))
    if held is None:
        if optional:
            return {}
        raise ConfigProblem(f"{where}: {kind} {desired.namespace}/{name} does not exist; create it")
    if not items:
        return {key: (held[key], mode) for key in held}
    missing = sorted(item.key for item in items if item.key not in held)
    if missing and not optional:
        raise ConfigProblem(f"{where}: {kind} {desired.namespace}/{name} has no key {', '.join(missing)}; add it")
    return {item.path: (held[item.key], mode if item.mode is None else item.mode) for item in items if item.key in held}


def _downward(desired: PodDesired, items: Sequence[DownwardFile], mode: int, where: str) -> Files:
    files: dict[str, tuple[bytes, int]] = {}
    for item in items:
        spot = f"{where}.items[{item.path}]"
        if item.field_ref is not None:
            text = field_value(desired, item.field_ref, spot)
        elif item.resource_field_ref is not None:
            text = resource_value(desired, desired.spec.containers[0], item.resource_field_ref, spot)
        else:
            text = ""
        files[item.path] = (text.encode(), mode if item.mode is None else item.mode)
    return files


def _sub_path(desired: PodDesired, container: Container, volume: Volume, mount: VolumeMount) -> Iterator[FileEntry]:
    """The one file, or the folder's files, below the mount path; a sub-path that holds nothing is an empty folder."""
    where = f"containers[{container.name}].volumeMounts[{mount.mount_path}].subPath"
    if container.security_context.read_only_root_filesystem:
        raise ConfigProblem(
            f"{where}: files cannot be placed under readOnlyRootFilesystem; mount the whole volume {mount.name}"
        )
    files = _files(desired, volume)
    group = desired.spec.security_context.fs_group
    target = mount.mount_path.strip("/")
    inside = mount.sub_path.strip("/")
    if inside in files:
        data, mode = files[inside]
        yield FileEntry(target, data, mode=mode if group is None else mode | 0o440, gid=group or 0)
        return
    start = len(inside)
    below = {target + path[start:]: held for path, held in files.items() if path.startswith(inside + "/")}
    yield FileEntry(target, mode=0o755, gid=group or 0, is_folder=True)
    for entry in _laid_out(below, group):
        # The folders above the target are the image's own and stay as they are.
        if len(entry.path) > len(target):
            yield entry
