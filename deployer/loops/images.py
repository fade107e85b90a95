"""What a node has already, remembered for a while so that a pod costs two calls: create and start.

Images, networks and the pause image of one node. What is remembered is checked by use: when an engine contradicts it
(somebody removed an image by hand), `doubt` forgets all and the next turn looks again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from deployer.core import actions
from deployer.core.container import LABEL_CLUSTER, LABEL_NAMESPACE, ImageSeen, RegistryAuth, Subnet
from deployer.ports import Clock, Engine, EngineError

REMEMBER_SECONDS = 300.0
FAILURE_SECONDS = 5.0
"""Pods of one image that fail together ask the registry once."""


class ImageError(EngineError):
    """An image cannot be had, or must not be used."""


class NodeImages:
    """Shared by the turns of one node; safe for threads. `pulled` is told of every image that a pull brought."""

    def __init__(
        self, engine: Engine, clock: Clock, pulled: Callable[[str, ImageSeen], None], rest: Callable[[float], None]
    ) -> None:
        self._engine, self._clock, self._pulled = engine, clock, pulled
        self.rest = rest
        self.collected_at = clock.now()
        self.networks_told = False
        self.present: dict[str, ImageSeen] = {}
        self._seen_at: dict[str, float] = {}
        self._failed: dict[str, tuple[float, EngineError]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def doubt(self) -> None:
        with self._lock:
            self.present, self._seen_at = {}, {}

    def ensure_network(
        self, name: str, namespace: str, cluster_id: str, subnet: Subnet | None = None, *, anew: bool = False
    ) -> None:
        """`anew`: look whether it is there, whatever is remembered."""
        labels = {LABEL_CLUSTER: cluster_id, **({LABEL_NAMESPACE: namespace} if namespace else {})}

        def make() -> None:
            self._engine.ensure_network(name, labels, subnet)

        if anew:
            self._forget(f"network {name}")
        self._once(f"network {name}", make)

    def ensure_pause(self) -> None:
        self._once("pause image", self._engine.ensure_pause_image)

    def ensure(self, step: actions.EnsureImage, auth: Any) -> tuple[ImageSeen, str]:
        """The image, and a warning ("" if none) when it is not provably the one that was asked for."""
        with self._lock_of(step.reference):
            failed_at, error = self._failed.get(step.reference, (0.0, None))
            if error is not None and self._clock.now() - failed_at < FAILURE_SECONDS:
                raise error
            try:
                seen, warning = self._pinned(step, auth) if step.pinned else self._unpinned(step, auth)
            except EngineError as fresh:
                self._failed[step.reference] = (self._clock.now(), fresh)
                raise
            self._failed.pop(step.reference, None)
            self._remember(seen, step.reference, step.pinned)
            return seen, warning

    def identity(self, reference: str, seen: ImageSeen) -> str:
        """What a revision pins: the digest in the image's own repository, or the id of one that was loaded by hand."""
        repository = repository_of(reference)
        return next((one for one in sorted(seen.digests) if one.partition("@")[0] == repository), seen.id)

    def refuse_root(self, image: str, user: str, container: str) -> None:
        """runAsNonRoot: the image's own user counts when the pod names none."""
        seen = self.present.get(image) or self._engine.image(image)
        named = user or (seen.user if seen else "")
        if named.partition(":")[0] in ("", "0", "root"):
            raise ImageError(
                "CreateContainerConfigError",
                f"container {container}: runAsNonRoot is set, and image {image} would run as root; set runAsUser",
                retryable=False,
            )

    def _pinned(self, step: actions.EnsureImage, auth: Any) -> tuple[ImageSeen, str]:
        seen = self.present.get(step.pinned) or self._engine.image(step.pinned)
        if seen is not None:
            return seen, ""
        if step.pull_policy == "Never":
            raise _never(step)
        if "@" in step.pinned:
            return self._pull(step.pinned, auth), ""
        seen = self._engine.image(step.reference) or self._pull(step.reference, auth)
        if seen.id == step.pinned:
            return seen, ""
        return seen, (
            f"image {step.reference} on this node is {seen.id[:19]}, the revision began with {step.pinned[:19]}; both "
            "were loaded by hand, so it is used; push images to a registry to have one digest everywhere"
        )

    def _unpinned(self, step: actions.EnsureImage, auth: Any) -> tuple[ImageSeen, str]:
        if step.pull_policy != "Always":
            seen = self.present.get(step.reference) or self._engine.image(step.reference)
            if seen is not None:
                return seen, ""
            if step.pull_policy == "Never":
                raise _never(step)
        try:
            return self._pull(step.reference, auth), ""
        except EngineError as error:
            local = self._engine.image(step.reference) if error.reason == "RegistryUnreachable" else None
            if local is None:
                raise
            return local, f"{error.sentence}; the image that is on the node already is used"

    def _pull(self, reference: str, auth: RegistryAuth | None) -> ImageSeen:
        seen = self._engine.pull(reference, auth)
        self._pulled(reference, seen)
        return seen

    def _remember(self, seen: ImageSeen, *names: str) -> None:
        with self._lock:
            fresh = {name: seen for name in (*names, seen.id) if name}
            self.present = {**self.present, **fresh}

    def _once(self, what: str, make: Callable[[], Any]) -> None:
        with self._lock_of(what):
            if self._clock.now() - self._seen_at.get(what, -REMEMBER_SECONDS) < REMEMBER_SECONDS:
                return
            make()
            with self._lock:
                self._seen_at[what] = self._clock.now()

    def _forget(self, what: str) -> None:
        with self._lock:
            self._seen_at.pop(what, None)

    def _lock_of(self, what: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(what, threading.Lock())


def repository_of(reference: str) -> str:
    """`registry:5000/app:v1` -> `registry:5000/app`; `docker.io/library/nginx:1` -> `nginx`, as engines name it."""
    name = reference.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def _never(step: actions.EnsureImage) -> ImageError:
    return ImageError(
        "ErrImageNeverPull",
        f"image {step.reference} is not on this node and imagePullPolicy is Never; load it there or change the policy",
    )
