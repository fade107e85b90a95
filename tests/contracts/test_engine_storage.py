"""The same for what containers stand on: networks, volumes, images, and whatever belongs to somebody else."""

from __future__ import annotations

import itertools

from deployer.core.container import PAUSE_IMAGE, ContainerSpec, FileEntry, Mount, VolumeSpec
from tests.contracts.bench import IMAGE, Bench, reason_of, shell, spec

_tags = itertools.count(100)

# Networks, volumes, images


def test_a_network_is_made_once_and_removed_when_empty(bench: Bench) -> None:
    bench.engine.ensure_network("net-a", {"team": "x"})
    bench.engine.ensure_network("net-a", {"team": "x"})
    assert bench.engine.networks() == ["net-a"]
    bench.run("attached", network="net-a")
    seen = bench.engine.inspect("attached")
    assert seen and seen.detail and seen.detail.ip.count(".") == 3
    assert reason_of(bench.engine.remove_network, "net-a") == "NetworkInUse"
    bench.engine.remove("attached")
    bench.engine.remove_network("net-a")
    bench.engine.remove_network("net-a")
    assert bench.engine.networks() == []


def test_a_pod_shares_the_pause_containers_network(bench: Bench) -> None:
    assert bench.engine.ensure_pause_image() == bench.engine.ensure_pause_image() == PAUSE_IMAGE
    bench.engine.ensure_network("net-b", {})
    pause = spec("pod-pause", image=PAUSE_IMAGE, network="net-b")
    bench.engine.create(ContainerSpec(name=pause.name, image=pause.image, labels=pause.labels, network="net-b"))
    bench.engine.start("pod-pause")
    bench.run("pod-app", network="container:pod-pause")
    assert {c.name: c.state for c in bench.engine.containers()} == {"pod-pause": "running", "pod-app": "running"}
    before = bench.engine.host_time()
    bench.engine.stop("pod-pause", 10)
    assert bench.engine.host_time() - before < 5  # it answers SIGTERM


def test_a_volume_is_filled_mounted_updated_and_removed(bench: Bench) -> None:
    wanted = VolumeSpec("vol-a", {"team": "x"})
    bench.engine.ensure_volume(wanted)
    bench.engine.ensure_volume(wanted)
    (seen,) = bench.engine.volumes()
    assert (seen.name, seen.labels["team"], seen.memory) == ("vol-a", "x", False)
    bench.engine.fill_volume("vol-a", [FileEntry("sub", is_folder=True, mode=0o755), FileEntry("sub/key", b"one\n")])
    bench.run("reader", *shell("cat /config/sub/key; sleep 3600"), mounts=(Mount("vol-a", "/config", read_only=True),))
    bench.eventually(lambda: bench.output("reader") == "one\n")
    bench.engine.fill_volume("vol-a", [FileEntry("sub/key", b"two\n")])
    assert bench.engine.execute("reader", ["cat", "/config/sub/key"], 5).output == "two\n"
    assert reason_of(bench.engine.remove_volume, "vol-a") == "VolumeInUse"
    bench.engine.remove("reader")
    bench.engine.remove_volume("vol-a")
    bench.engine.remove_volume("vol-a")
    assert bench.engine.volumes() == []
    assert reason_of(bench.engine.fill_volume, "vol-a", []) == "NoSuchVolume"


def test_a_volume_in_memory_keeps_its_limit(bench: Bench) -> None:
    bench.engine.ensure_volume(VolumeSpec("vol-m", {}, memory=True, size_bytes=1 << 20))
    (seen,) = bench.engine.volumes()
    assert (seen.memory, seen.size_bytes) == (True, 1 << 20)


def test_a_pulled_image_is_known_by_digest_and_is_ours_to_collect(bench: Bench) -> None:
    reference = bench.pullable(f"team/web:{next(_tags)}")
    assert bench.engine.image(reference) is None
    pulled = bench.engine.pull(reference)
    assert pulled.tags[0].endswith(reference) and pulled.digests[0].startswith(
        reference.rpartition(":")[0] + "@sha256:"
    )
    assert bench.engine.pull(reference) == pulled
    assert bench.engine.image(pulled.digests[0]) == bench.engine.image(pulled.id) == pulled


def test_images_in_use_stay_and_others_go(bench: Bench) -> None:
    reference = bench.pullable(f"team/app:{next(_tags)}")
    pulled = bench.engine.pull(reference)
    bench.run("uses-it", image=pulled.digests[0])
    assert pulled.id in {image.id for image in bench.engine.images()}
    assert reason_of(bench.engine.remove_image, pulled.id) == "ImageInUse"
    bench.engine.remove("uses-it")
    bench.engine.remove_image(pulled.id)
    bench.engine.remove_image(pulled.id)
    assert bench.engine.images() == [] and bench.engine.image(reference) is None


def test_an_image_that_was_there_before_is_never_removed(bench: Bench) -> None:
    bench.run("uses-loaded")
    loaded = bench.engine.image(IMAGE)
    assert loaded and [image.id for image in bench.engine.images()] == [loaded.id]
    bench.engine.remove("uses-loaded")
    assert bench.engine.images() == []
    bench.engine.remove_image(loaded.id)
    assert bench.engine.image(IMAGE) == loaded


def test_a_pull_that_fails_says_why(bench: Bench) -> None:
    assert reason_of(bench.engine.pull, bench.missing_image) == "ImageNotFound"
    assert reason_of(bench.engine.pull, bench.unreachable_image) == "RegistryUnreachable"


# Others on the host


def test_containers_of_others_are_neither_seen_nor_touched(bench: Bench) -> None:
    theirs = bench.other.create(spec("theirs"))
    bench.other.start("theirs")
    assert bench.engine.containers() == [] and bench.engine.inspect("theirs") is None
    for name in ("theirs", theirs):
        bench.engine.stop(name, 0)
        bench.engine.remove(name)
        assert reason_of(bench.engine.start, name) == "NoSuchContainer"
        assert reason_of(bench.engine.execute, name, ["true"], 5) == "NoSuchContainer"
    assert reason_of(bench.engine.create, spec("theirs")) == "NameConflict"
    (seen,) = bench.other.containers()
    assert (seen.id, seen.state) == (theirs, "running")


def test_volumes_and_networks_of_others_are_neither_seen_nor_touched(bench: Bench) -> None:
    bench.other.ensure_volume(VolumeSpec("their-volume", {}))
    bench.other.ensure_network("their-network", {})
    assert bench.engine.volumes() == [] and bench.engine.networks() == []
    bench.engine.remove_volume("their-volume")
    bench.engine.remove_network("their-network")
    assert reason_of(bench.engine.ensure_volume, VolumeSpec("their-volume", {})) == "NameConflict"
    assert reason_of(bench.engine.ensure_network, "their-network", {}) == "NameConflict"
    assert reason_of(bench.engine.fill_volume, "their-volume", [FileEntry("x", b"")]) == "NameConflict"
    assert [volume.name for volume in bench.other.volumes()] == ["their-volume"]
    assert bench.other.networks() == ["their-network"]
