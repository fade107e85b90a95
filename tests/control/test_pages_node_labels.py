"""A node's labels and taints, changed on its page: the command's rules, all of it or nothing."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import AuditEntry, Node
from tests.control import factories

pytestmark = pytest.mark.django_db

LABELS = {"kubernetes.io/hostname": "n1", "zone": "a", "disk": "ssd"}
TAINTS = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", password="a long harbour wall"))
    return client


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.content
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def mark(client: Client, **given: str) -> Any:
    html = page(client, "/nodes/n1/labels")
    seen = re.search(r'name="seen" value="([^"]+)"', html)
    assert seen
    return client.post("/nodes/n1/labels", {"seen": seen[1], **given})


def test_labels_and_taints_are_changed_from_the_page(admin: Client) -> None:
    factories.node("n1", labels=LABELS, taints=TAINTS)
    html = page(admin, "/nodes/n1/labels")
    assert "disk=ssd\nzone=a</textarea>" in html and "gpu=yes:NoSchedule</textarea>" in html
    assert 'href="/nodes/n1/labels"' in page(admin, "/nodes/n1")
    answer = mark(admin, labels="zone=b\r\nrack=7", taints="slow:PreferNoSchedule")
    assert answer.status_code == 302
    row = Node.objects.get(name="n1")
    assert row.labels == {"kubernetes.io/hostname": "n1", "zone": "b", "rack": "7"}, "what the host is stays"
    assert row.taints == [{"key": "slow", "value": "", "effect": "PreferNoSchedule"}]
    done = AuditEntry.objects.filter(object="Node n1").values_list("action", "actor")
    assert set(done) == {("node label", "ada"), ("node taint", "ada")}
    assert "n1: 5 changes of labels and taints" in words(page(admin, "/nodes/n1"))


def test_a_taint_that_evicts_says_whom_and_keeps_its_time(admin: Client) -> None:
    factories.node("n1", labels=LABELS)
    for_a_while = {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600}
    patient = factories.template(tolerations=[for_a_while])["spec"]
    factories.pod(name="patient", spec=patient, scheduled_at=time.time())
    factories.pod(name="other")
    assert "Pods that are here stay, but for a taint with the effect NoExec" in words(page(admin, "/nodes/n1/labels"))
    assert 'id="evictions-title"' not in page(admin, "/nodes/n1")
    assert mark(admin, labels="zone=a disk=ssd", taints="gpu:NoExecute").status_code == 302
    text = words(page(admin, "/nodes/n1"))
    said = "1 pod is evicted, 1 more when the time that they tolerate it for has passed"
    assert f"n1: 1 change of labels and taints; {said}." in text and f"Evictions {said}." in text
    why = "node n1 has the taint gpu:NoExecute, which it"
    assert f"shop/other {why} does not tolerate shop/patient {why} tolerates for 3600 s: it is evicted at 20" in text
    before = Node.objects.get().taints
    assert mark(admin, labels="zone=b disk=ssd", taints="gpu:NoExecute slow:NoSchedule").status_code == 302
    assert "n1: 2 changes of labels and taints" in words(page(admin, "/nodes/n1"))
    assert Node.objects.get().taints == [*before, {"key": "slow", "value": "", "effect": "NoSchedule"}]


def test_nothing_to_change_writes_nothing(admin: Client) -> None:
    factories.node("n1", labels=LABELS, taints=TAINTS)
    assert mark(admin, labels="zone=a disk=ssd", taints="gpu=yes:NoSchedule").status_code == 302
    assert not AuditEntry.objects.filter(object="Node n1").exists()


@pytest.mark.parametrize(
    ("labels", "taints", "status", "said"),
    [
        ("zone", "", 400, "write key=value"),
        ("zone=a zone=b", "", 400, "zone stands there twice"),
        ("zone-", "", 400, "leave a line out to remove a label"),
        ("kubernetes.io/os=plan9", "", 400, "says what the host is"),
        ("-zone=a", "", 409, "label -zone=a is not valid"),
        ("", "gpu=yes", 400, "write key=value:NoSchedule"),
        ("", "gpu-", 400, "leave a line out to remove a taint"),
        ("", "node.kubernetes.io/unreachable:NoExecute", 409, "is not set by hand"),
        ("zone=b", "gpu=" + "y" * 64 + ":NoSchedule", 409, "at most 63 characters"),
    ],
)
def test_the_commands_rules_hold_on_the_page(admin: Client, labels: str, taints: str, status: int, said: str) -> None:
    factories.node("n1", labels=LABELS, taints=TAINTS)
    answer = mark(admin, labels=labels, taints=taints)
    assert answer.status_code == status and said in words(answer.content.decode())
    row = Node.objects.get(name="n1")
    assert (row.labels, row.taints) == (LABELS, TAINTS), "all of it is done, or nothing"


def test_labels_that_somebody_changed_meanwhile_are_not_overwritten(admin: Client) -> None:
    row = factories.node("n1", labels=LABELS)
    html = page(admin, "/nodes/n1/labels")
    seen = re.search(r'name="seen" value="([^"]+)"', html)
    assert seen
    Node.objects.filter(pk=row.pk).update(labels={**LABELS, "zone": "c"})
    answer = admin.post("/nodes/n1/labels", {"seen": seen[1], "labels": "zone=b", "taints": ""})
    assert answer.status_code == 409 and "nothing was done" in words(answer.content.decode())
    assert "zone=c" in answer.content.decode() and Node.objects.get(pk=row.pk).labels["zone"] == "c"
