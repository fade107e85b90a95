"""What a test of the network needs: manifests for it, and a client that stands where a pod stands."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from tests.engines.control_plane import eventually
from tests.engines.hosts import Host
from tests.engines.shop import Shop

SLEEP = ["/bin/sleep", "3600"]


def service(
    name: str, *, app: str = "", port: int = 80, target: int | str = 8080, more: str = "", named: str = "http"
) -> str:
    """A Service `name` for pods with app=`app` (its own name by default); `more` goes into its spec."""
    extra = "".join(f"  {line}\n" for line in more.splitlines())
    return f"""apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
{extra}  selector: {{app: {app or name}}}
  ports:
    - {{name: {named}, port: {port}, targetPort: {target}}}
"""


@dataclass
class Client:
    """A container of a pod, to run commands in."""

    host: Host
    container: str

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in the pod. Bounded: a command that hangs counts as 124."""
        words = ["docker", "-H", f"unix://{self.host.socket}", "exec", self.container, *command]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=False)
        except subprocess.TimeoutExpired:
            return 124, ""
        return done.returncode, done.stdout + done.stderr

    def fetch(self, address: str, port: int = 80, path: str = "/version") -> str:
        """The body of a GET by address, "" for none (busybox's wget, being static, cannot even read an address)."""
        request = f"GET {path} HTTP/1.1\\r\\nHost: pod\\r\\nConnection: close\\r\\n\\r\\n"
        _, out = self.run("sh", "-c", f"printf '{request}' | nc -w 2 {address} {port}")
        head, _, body = out.partition("\n\n")
        return body.strip() if " 200 " in head.partition("\n")[0] else ""

    def lookup(self, name: str) -> list[str]:
        """The addresses of a name, by the pod's own resolver."""
        _, out = self.run("nslookup", name)
        found = out.partition("Name:")[2]
        return [line.split()[-1] for line in found.splitlines() if line.startswith("Address")]


def client(shop: Shop, app: str) -> Client:
    """The first running pod of the Deployment `app` that is there to stay."""
    found = clients(shop, app)
    assert found, f"no container of {app}: {shop.tell()}"
    return found[0]


def clients(shop: Shop, app: str) -> list[Client]:
    """One on each host that has any."""
    found = []
    metadata = [pod["metadata"] for pod in shop.pods()]
    staying = [f"-{one['name']}-" for one in metadata if "deletionTimestamp" not in one]
    for host in shop.hosts:
        listed = host.docker("ps", "--format", "{{.Names}}", "--filter", f"name=pierhead-{shop.name}-{app}-").split()
        names = [name for name in listed if "-pause-" not in name and any(one in name for one in staying)]
        if names:
            found.append(Client(host, names[0]))
    return found


def address(shop: Shop, name: str, namespace: str = "") -> str:
    """The virtual address of a Service on its own namespace's network."""
    found = json.loads(shop.plane.manage("get", "service", name, "-n", namespace or shop.name, "-o", "json"))
    return str(found["spec"]["clusterIP"])


def endpoints(shop: Shop, name: str) -> int:
    """How many endpoints of a Service are ready."""
    found = json.loads(shop.plane.manage("get", "endpoints", name, "-n", shop.name, "-o", "json"))
    return sum(len(subset.get("addresses") or ()) for subset in found.get("subsets") or ())


def served(shop: Shop, at: Client, name: str, path: str = "/version") -> str:
    """Wait until a Service answers `at`; its answer."""
    virtual = address(shop, name)
    answers: list[str] = []

    def answered() -> bool:
        answers.append(at.fetch(virtual, path=path))
        return bool(answers[-1])

    eventually(answered, 40, shop.tell)
    return answers[-1]
