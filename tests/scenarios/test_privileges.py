"""What reaches beyond a container, end to end: refused until an operator allows the namespace exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Application
from control.services import workloads
from control.services.audit import Actor
from tests.scenarios.shop import BOX, IN_WEB, WEB, opened, refused
from tests.scenarios.world import web

pytestmark = pytest.mark.django_db
ACTOR = Actor("ann")
OPERATOR = "is not allowed in namespace shop (remove it; or an operator allows it: manage.py namespace allow shop {})"
SOCKET = "holds Docker's socket (docker.sock: whoever has it is root on the host)"

RIGHTS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "privileged": ("privileged", f"{BOX}.securityContext.privileged", "a privileged container",
                   {"container": "securityContext: {privileged: true}"}),
    "capability": ("capabilities", f"{BOX}.securityContext.capabilities.add[0]", "the capability SYS_ADMIN",
                   {"container": "securityContext: {capabilities: {add: [SYS_ADMIN]}}"}),
    "host path": ("host-path", f"{WEB}.volumes[0].hostPath", f"/ of the host, which {SOCKET},",
                  {"pod": "volumes: [{name: h, hostPath: {path: /}}]"}),
    "Docker's socket": ("host-path", f"{WEB}.volumes[0].hostPath", f"/run/docker.sock of the host, which {SOCKET},",
                        {"pod": "volumes: [{name: h, hostPath: {path: /run/docker.sock}}]"}),
    "host network": ("host-network", f"{WEB}.hostNetwork", "the host's network", {"pod": "hostNetwork: true"}),
    "host processes": ("privileged", f"{WEB}.hostPID", "seeing the host's processes", {"pod": "hostPID: true"}),
}  # fmt: skip


@pytest.mark.parametrize(("allowance", "field", "what", "change"), RIGHTS.values(), ids=RIGHTS)
def test_what_is_privileged_waits_for_an_operator(
    tmp_path: Path, allowance: str, field: str, what: str, change: dict[str, str]
) -> None:
    shop = opened(tmp_path)
    before, line = shop.state(), 11 if "pod" in change else 14
    files = {"a.yaml": web(replicas=1, image="shop/web:2", **change).encode()}
    sentence = f"a.yaml:{line}: {IN_WEB}{field}: {what} {OPERATOR.format(allowance)}"
    attempt = refused(shop, shop.bad(files), sentence)
    others = {"capabilities", "host-network", "host-path"} - {allowance}
    for other in sorted(others):
        workloads.allow("shop", other, ACTOR)
        shop.settle()
    assert {**shop.state(), "Namespace": 0} == {**before, "Namespace": 0}
    workloads.allow("shop", allowance, ACTOR)
    shop.pass_time(20)
    assert Application.objects.get().commit == attempt.commit  # at once, without another push
    assert (shop.ready(), shop.revisions()) == (1, {2})
    workloads.allow("shop", allowance, ACTOR, given=False)
    shop.pass_time(20)
    assert (shop.ready(), shop.revisions()) == (1, {2})  # what runs was allowed when it came
    refused(shop, shop.bad({"a.yaml": files["a.yaml"] + b"# again\n"}), sentence)
    shop.good()
    shop.pass_time(20)
    assert (shop.ready(), shop.revisions()) == (1, {3})
