"""A pod's volumes: which files they hold, with which modes and owners, and how containers see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.container import Mount
from deployer.core.node import PodDesired
from deployer.core.pod_environment import ConfigProblem
from deployer.core.pod_volumes import container_files, content_digest, ensure_volume, mounts, volume_name
from tests.core.node.host import CLUSTER, UID, pod

CONFIG = {
    ("ConfigMap", "app"): {"a.txt": b"A", "b.txt": b"B"},
    ("Secret", "db"): {"password": b"hush"},
}
PROJECTED = {
    "defaultMode": 0o400,
    "sources": [
        {"configMap": {"name": "app", "items": [{"key": "a.txt", "path": "sub/a"}]}},
        {"secret": {"name": "db"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ],
}


def with_volume(volume: dict[str, object], **spec: object) -> PodDesired:
    mounting = {"name": "web", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    desired = pod(mounting, volumes=[{"name": "v", **volume}], **spec)
    return replace(desired, config=CONFIG, labels={"app": "web", "tier": 'say "hi"'})


def laid_out(desired: PodDesired) -> list[tuple[str, str, int, int]]:
    step = ensure_volume(desired, desired.spec.volumes[0], CLUSTER)
    return [(one.path + ("/" if one.is_folder else ""), one.data.decode(), one.mode, one.gid) for one in step.files]


FS_GROUP = {"securityContext": {"fsGroup": 2000}}
ROWS = [
    ({"configMap": {"name": "app"}}, {}, [("a.txt", "A", 0o644, 0), ("b.txt", "B", 0o644, 0)]),
    ({"configMap": {"name": "app", "items": [{"key": "b.txt", "path": "x/y", "mode": 0o600}]}}, {},
     [("x/", "", 0o755, 0), ("x/y", "B", 0o600, 0)]),
    ({"configMap": {"name": "no", "optional": True}}, {}, []),
    ({"secret": {"secretName": "db", "defaultMode": 0o400}}, {}, [("password", "hush", 0o400, 0)]),
    ({"secret": {"secretName": "db", "defaultMode": 0o400}}, FS_GROUP,
     [("./", "", 0o2755, 2000), ("password", "hush", 0o440, 2000)]),
    ({"projected": PROJECTED}, {},
     [("sub/", "", 0o755, 0), ("labels", 'app="web"\ntier="say \\"hi\\""', 0o400, 0), ("password", "hush", 0o400, 0),
      ("sub/a", "A", 0o400, 0)]),
    ({"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}, {},
     [("name", "web-x", 0o644, 0)]),
    ({"emptyDir": {}}, {}, [("./", "", 0o777, 0)]),
    ({"emptyDir": {}}, FS_GROUP, [("./", "", 0o2777, 2000)]),
    ({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, FS_GROUP, []),
]  # fmt: skip


@pytest.mark.parametrize(("volume", "spec", "expected"), ROWS)
def test_files(volume: dict[str, object], spec: dict[str, object], expected: list[tuple[str, str, int, int]]) -> None:
    assert laid_out(with_volume(volume, **spec)) == expected


def test_memory_is_tmpfs_with_its_limit() -> None:
    desired = with_volume({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}})
    spec = ensure_volume(desired, desired.spec.volumes[0], CLUSTER).spec
    assert (spec.memory, spec.size_bytes) == (True, 64 << 20)


PROBLEMS = [
    ({"configMap": {"name": "no"}}, "volumes[v]: ConfigMap shop/no does not exist; create it"),
    ({"secret": {"secretName": "db", "items": [{"key": "k", "path": "k"}]}},
     "volumes[v]: Secret shop/db has no key k; add it"),
    ({"projected": {"sources": [{"secret": {"name": "no"}}]}},
     "volumes[v].projected.sources[0]: Secret shop/no does not exist; create it"),
]  # fmt: skip


@pytest.mark.parametrize(("volume", "sentence"), PROBLEMS)
def test_problems(volume: dict[str, object], sentence: str) -> None:
    desired = with_volume(volume)
    with pytest.raises(ConfigProblem) as raised:
        ensure_volume(desired, desired.spec.volumes[0], CLUSTER)
    assert raised.value.sentence == sentence


MOUNTS = [
    ({"configMap": {"name": "app"}}, False, Mount(f"pierhead-shop-web-x-v-{UID[:8]}", "/v", read_only=True)),
    ({"emptyDir": {}}, False, Mount(f"pierhead-shop-web-x-v-{UID[:8]}", "/v")),
    ({"emptyDir": {}}, True, Mount(f"pierhead-shop-web-x-v-{UID[:8]}", "/v", read_only=True)),
    ({"hostPath": {"path": "/srv"}}, False, Mount("/srv", "/v", is_host_path=True)),
]


@pytest.mark.parametrize(("volume", "read_only", "expected"), MOUNTS)
def test_mounts(volume: dict[str, object], read_only: bool, expected: Mount) -> None:
    mounting = {"name": "web", "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": read_only}]}
    desired = pod(mounting, volumes=[{"name": "v", **volume}])
    assert mounts(desired, desired.spec.containers[0]) == (expected,)


SUB_PATHS = [
    ("a.txt", "/etc/app/a.conf", [("etc/app/a.conf", "A")]),
    ("none", "/etc/app", [("etc/app/", "")]),
    ("sub", "/etc/app", [("etc/app/", ""), ("etc/app/deep/", ""), ("etc/app/c", "A"), ("etc/app/deep/b", "B")]),
]
ITEMS = [{"key": "a.txt", "path": path} for path in ("a.txt", "sub/c")] + [{"key": "b.txt", "path": "sub/deep/b"}]


@pytest.mark.parametrize(("sub_path", "mount_path", "expected"), SUB_PATHS)
def test_sub_paths_are_the_containers_own_files(
    sub_path: str, mount_path: str, expected: list[tuple[str, str]]
) -> None:
    mounting = {"name": "web", "volumeMounts": [{"name": "v", "mountPath": mount_path, "subPath": sub_path}]}
    desired = pod(mounting, volumes=[{"name": "v", "configMap": {"name": "app", "items": ITEMS}}])
    desired = replace(desired, config=CONFIG)
    web = desired.spec.containers[0]
    files = container_files(desired, web)
    assert [(one.path + ("/" if one.is_folder else ""), one.data.decode()) for one in files] == expected
    assert mounts(desired, web) == ()


def test_names_of_two_namespaces_do_not_coincide() -> None:
    """`a` + `b-c` and `a-b` + `c` would otherwise share a volume, and their secrets."""
    one = replace(with_volume({"emptyDir": {}}), namespace="a", name="b-c", uid="11111111-1")
    two = replace(one, namespace="a-b", name="c", uid="22222222-2")
    assert volume_name(one, one.spec.volumes[0]) != volume_name(two, two.spec.volumes[0])


def test_a_digest_tells_contents_apart_and_differs_between_pods() -> None:
    desired = with_volume({"secret": {"secretName": "db"}})
    changed = replace(desired, config={("Secret", "db"): {"password": b"other"}})
    other = replace(desired, uid="22222222-2")
    digests = {
        content_digest(one, ensure_volume(one, one.spec.volumes[0], CLUSTER)) for one in (desired, changed, other)
    }
    assert len(digests) == 3
