"""A cluster with everything in it that the pages of nodes, network, events and audit can show."""

from __future__ import annotations

from control.models import AuditEntry, Measurement, Node, Pod
from deployer.adapters import authority
from deployer.core.network.measurements import FINE_SECONDS
from tests.control import factories, pages_data

DAY = 86400.0
HELD = "budget shop/catalog allows no disruption now: 2 healthy, 2 needed"
SILENT = "31 heartbeats were missed (no answer within 1 s); none of 2 peers sees it either"


def cluster() -> None:
    """The story of the first page, with a drain, a host that is away, services of every kind, and an audit trail."""
    pages_data.story()
    _nodes()
    _network()
    _traffic()
    _records()


def certificate(now: float, seconds: float) -> str:
    made = authority.make_authority("test", now)
    return str(authority.issue(made, "shop", ("shop.example.com",), now, seconds).certificate)


def _nodes() -> None:
    now = factories.NOW
    Node.objects.filter(name="harbour-1").update(labels={"zone": "a", "disk": "ssd", "kubernetes.io/os": "linux"})
    Node.objects.filter(name="harbour-2").update(draining=True, drain_pods=7, labels={"zone": "b"})
    Node.objects.filter(name="harbour-3").update(
        reason="Dead", message=SILENT, heartbeat_at=now - 65, witnesses={"harbour-1": False, "harbour-2": False},
        evicting_at=now - 55, taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
    )  # fmt: skip
    drained = Node.objects.get(name="harbour-2")
    Pod.objects.filter(name__in=("catalog-0", "catalog-1")).update(node=drained, message=HELD)
    Pod.objects.filter(name="worker-0").update(node=drained, deleted_at=now - 3)
    factories.router(Node.objects.get(name="harbour-1"), expires_at=now + 71 * DAY)
    factories.router(drained, "Service shop/odd: port 8443 is the mesh's own", expires_at=now + 45 * DAY)


def _network() -> None:
    now = factories.NOW
    for index, name in enumerate(("web", "catalog", "worker"), 7):
        factories.virtual_address(factories.service(name), index)
    factories.service("lost", spec={"selector": {"app": "nobody"}})
    factories.service("database", spec={"selector": {"app": "database"}, "ports": [{"port": 5432}]})
    factories.service("mail", spec={"type": "ExternalName", "externalName": "smtp.example.com", "selector": {}})
    factories.pod(name="db-1", labels={"app": "database"}, ready=False, waiting="CrashLoopBackOff", message="no disk")
    factories.pod(name="web-app-1", labels={"app": "web-app"}, node=Node.objects.get(name="harbour-1"))
    factories.policy()
    tls = [{"hosts": ["shop.example.com"], "secretName": "cert"}, {"hosts": ["old.example.com"], "secretName": "gone"}]
    factories.ingress(spec={"tls": tls})
    factories.ingress("lost", "lost.example.com", spec={"defaultBackend": {"service": {"name": "nobody"}}})
    factories.secret("cert", {"tls.crt": certificate(now, 10 * DAY), "tls.key": "k"})


def _traffic() -> None:
    newest = int(factories.NOW) // FINE_SECONDS * FINE_SECONDS
    for step in range(200):
        for revision in (2, 3):
            Measurement.objects.create(
                resolution=FINE_SECONDS, namespace="shop", service="web", at=newest - step * FINE_SECONDS, port="80",
                revision=revision, requests=100 + 40 * (step % 9) + revision * 60, errors=(step % 13) * (revision - 2),
                buckets=[0, 0, 0, 20, 60, 12, 4, *[0] * 9],
            )  # fmt: skip


def _records() -> None:
    now = factories.NOW
    factories.event("NodeDead", SILENT, type="Warning", kind="Node", namespace="", name="harbour-3", node="harbour-3",
                    last_at=now - 55, first_at=now - 60)  # fmt: skip
    factories.event("Cordoned", "cordon by ada", kind="Node", namespace="", name="harbour-2", node="harbour-2")
    for number, (actor, action, target, detail) in enumerate((
        ("ada", "node drain", "Node harbour-2", ""),
        ("bea", "rollout undo", "Deployment shop/mail", "to revision 2 (commit 2222222)"),
        ("bea", "application sync", "Application shop", ""),
        ("unknown", "sign-in failed", "name 0123456789abcdef", ""),
    )):  # fmt: skip
        source = "203.0.113.9" if actor == "unknown" else "10.0.0.9"
        AuditEntry.objects.create(
            at=now - 60 * number - 20, actor=actor, action=action, object=target, detail=detail, source=source
        )
