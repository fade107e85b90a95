"""One team on the cluster: its repository, its application, its namespace, and what its people look at."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines.control_plane import Checkout, ControlPlane, deployment, eventually, is_ready
from tests.engines.hosts import Host, Hosts

HTTPD = ["/bin/httpd", "-f", "-p", "8080", "-h", "/"]
PREFIX = "shop"
_numbers = itertools.count(1)


@dataclass
class Shop:
    """`push` commits manifests, everything else asks the control plane or the hosts."""

    plane: ControlPlane
    hosts: Hosts
    checkout: Checkout
    name: str = field(default_factory=lambda: f"{PREFIX}{next(_numbers)}")

    @classmethod
    def open(cls, plane: ControlPlane, hosts: Hosts, folder: Path, *documents: str) -> Shop:
        made = cls(plane, hosts, Checkout(folder))
        made.checkout.push("begin", made._files(documents))
        plane.follow(made.checkout.origin, name=made.name, namespace=made.name)
        return made

    def push(self, *documents: str, message: str = "a change") -> str:
        """One commit that holds these documents and no others; pushed, and synced on request."""
        gone: dict[str, str | None] = {
            f"k8s/{path.name}": None for path in (self.checkout.work / "k8s").iterdir() if path.name != "keep.json"
        }
        return self.checkout.push(message, {**gone, **self._files(documents)})

    def sync(self, *options: str) -> str:
        return self.plane.manage("application", "sync", self.name, *options)

    def pods(self) -> list[dict[str, Any]]:
        return self.plane.objects("pods", self.name)

    def ready(self) -> int:
        return len(self.plane.ready_pods(self.name))

    def containers(self, *, all_of_them: bool = False) -> dict[str, str]:
        """Container name -> id, on all hosts."""
        found = {}
        for host in self.hosts:
            form = ["--format", "{{.Names}} {{.ID}}", "--no-trunc", "--filter", f"name=pierhead-{self.name}-"]
            lines = host.docker("ps", *(["-a"] if all_of_them else []), *form).splitlines()
            found.update(dict(line.split() for line in lines))
        return found

    def images(self) -> set[str]:
        """The images, as written, of the pods that are ready."""
        return {pod["spec"]["containers"][0]["image"] for pod in self.plane.ready_pods(self.name)}

    def wait_ready(self, count: int, *, image: str = "", seconds: float = 40) -> None:
        self.wait(lambda: self._are_ready(count, image), seconds)

    def _are_ready(self, count: int, image: str) -> bool:
        """With one look: each is a command."""
        pods = self.pods()
        if len(pods) != count or not all(map(is_ready, pods)):
            return False
        return not image or {pod["spec"]["containers"][0]["image"] for pod in pods} == {image}

    def wait_ready_elsewhere(self, count: int, node: str, seconds: float = 40) -> None:
        """So many pods are ready on other nodes than this one."""
        self.wait(
            lambda: sum(pod["spec"]["nodeName"] != node for pod in self.plane.ready_pods(self.name)) == count, seconds
        )

    def wait(self, true: Callable[[], object], seconds: float = 40) -> None:
        eventually(true, seconds, self.tell)

    def tell(self) -> str:
        """All that is known, for a test that failed."""
        words = [self.plane.attempt("get", kind, "-n", self.name)[1] for kind in ("deployments", "pods", "events")]
        logs = [(self.plane.folder / "logs" / f"{name}.log") for name in ("worker", "watch")]
        return "\n".join([*words, *(log.read_text()[-1500:] for log in logs if log.exists())])

    def _files(self, documents: tuple[str, ...]) -> dict[str, str | None]:
        return {f"k8s/{number}.yaml": text for number, text in enumerate(documents)}


OpenShop = Callable[..., Shop]
"""`open_shop(*documents)`: see the fixture."""


@contextlib.contextmanager
def shop_on(plane: ControlPlane, hosts: Hosts, folder: Path, *documents: str) -> Iterator[Shop]:
    """A shop in which these manifests run. At the end it is removed; its pods may take a moment longer."""
    made = Shop.open(plane, hosts, folder, *documents)
    try:
        made.sync("--wait")
        yield made
    finally:
        plane.manage("application", "remove", made.name)
        plane.manage("repository", "remove", made.name)  # it would be asked every second, to the end of the run


def all_are_gone(hosts: Hosts, seconds: float = 60) -> None:
    """Wait until no host has a container of any shop, in whatever state."""

    def left(host: Host) -> str:
        return host.docker("ps", "-a", "--format", "{{.Names}}: {{.Status}}", "--filter", f"name=pierhead-{PREFIX}")

    eventually(lambda: not any(map(left, hosts)), seconds, lambda: "\n".join(map(left, hosts)))


def web(image: str = "test/web:1", replicas: int = 3, **more: Any) -> str:
    return deployment("web", image=image, replicas=replicas, **{"command": HTTPD, **more})
