"""What must not hurt: commits that are broken, hostile or absurd, each against a shop that runs.

Each row is a commit. It leads to one Failed record with a sentence (file, line and field where there is one), once;
pods, containers and objects stay as they are; and the next good commit goes through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from control.models import Application, ConfigMap, Event, Repository, Sync
from control.services import repositories
from control.services.audit import Actor
from tests.scenarios.shop import BOX, HUSH, IN_WEB, WEB, Shop, opened, refused
from tests.scenarios.world import web

pytestmark = pytest.mark.django_db

NAME = "\"{}\" is not a valid name (use lower-case letters, digits and '-', starting and ending with a letter or digit)"


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Made once, as it costs more than a row. What a row writes is rolled back; its containers never move."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield opened(tmp_path_factory.mktemp("shop"))
        transaction.set_rollback(True)


def deployment(line: int, field: str, sentence: str, **change: Any) -> tuple[dict[str, bytes], str]:
    """A Deployment with one thing wrong, and what is said about it."""
    text = f"a.yaml:{line}: {IN_WEB}{field}: {sentence}"
    return {"a.yaml": web(**change).encode()}, text


def text(data: str | bytes, sentence: str, path: str = "a.yaml") -> tuple[dict[str, bytes], str]:
    return {path: data if isinstance(data, bytes) else data.encode()}, f"{path}{sentence}"


def nested(levels: int) -> str:
    return "a: " + "[" * levels


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join(lines + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)])


GROWTH = "aliases (*name) grow the document by more than 100000 characters (write the parts out)"
DEEP = "nests deeper than 100 levels (no Kubernetes object does: check the brackets)"
NO_IMAGE = '"{}" is not an image reference (write [registry/]name[:tag][@digest], with a lower-case name)'
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"

TEXT = {
    "a bomb of aliases": text(bomb(), f":1: {GROWTH}"),
    "an alias of itself": text("a: &a [*a]\n", f":1: {DEEP}"),
    "10 MB": text(f"{CONFIG}data: {{a: {'x' * 10_000_000}}}\n", ":1: the document has 10000063 bytes"),
    "duplicate keys": text(f"{CONFIG}data:\n  a: '1'\n  a: '2'\n",
                           ":6: the key a stands twice in one map (keep one of the two)"),
    "a duplicate object": ({"a.yaml": CONFIG.encode(), "b.yaml": b"---\n" + CONFIG.encode()},
                           "b.yaml:2: ConfigMap shop/c: metadata.name: stands in a.yaml:1 as well (remove one of the "
                           "two)"),
    "a Python tag": text("a: !!python/object/apply:os.system [id]\n",
                         ":1: the tag !!python/object/apply:os.system is refused here (remove the tag)"),
    "a tag of somebody's": text("a: !vault x\n", ":1: the tag !vault is refused here (remove the tag)"),
    "not UTF-8": text(CONFIG.encode() + b"data: {a: '\xff\xfe'}\n", ":4: is not UTF-8 text (save the file as UTF-8"),
    "UTF-16": text(CONFIG.encode("utf-16"), ":1: is not UTF-8 text (save the file as UTF-8"),
    "a NUL": text(f'{CONFIG}data: {{a: "\\0"}}\n', ":4: holds a NUL character (binary data belongs into binaryData"),
    "half a surrogate pair": text(f'{CONFIG}data: {{a: "\\ud800"}}\n', ":4: is not valid YAML: "),
    "deep nesting in flow": text(nested(100_000), f":1: {DEEP}"),
    "deep nesting in blocks": text("\n".join(" " * depth + "a:" for depth in range(1200)), f":101: {DEEP}"),
    "tabs": text(f"{CONFIG}data:\n\ta: x\n", ":5: a tab indents this line (YAML is indented with spaces only"),
    "a template": text("a: {{ .Values.x }}\n", ":1: a key must be text, not a map or a list (a {{ }} template?"),
    "one broken document of three": text(f"{CONFIG}---\nb: [\n---\n{CONFIG}", ":6: is not valid YAML: "),
    "one broken item of a List": text(
        f"apiVersion: v1\nkind: List\nitems:\n- {{{CONFIG.strip().replace(chr(10), ', ')}}}\n- kind: Job\n",
        ":5: kind: Job is not supported yet"),
    "no object at all": text("hello\n", ":1: is a single value, not a Kubernetes object (move the file out"),
}  # fmt: skip

INJECTION = {
    **{f"image {image!r}": deployment(13, f"{BOX}.image", NO_IMAGE.format(image), image=f"'{image}'")
       for image in ("--privileged", "$(id)", "a;b", "`id`", "../../etc", "ext::sh", "a b", "-")},
    **{f"name {name!r}": text(web(name), f":4: Deployment shop/{name}: metadata.name: {NAME.format(name)}")
       for name in ("--all", "$(id)", "a;b", "../../etc", "a/b", "-rf")},
    "an image with a line end": deployment(13, f"{BOX}.image", NO_IMAGE.format("a?b"), image='"a\\nb"'),
    "a namespace that climbs": text(
        web().replace("metadata:\n", "metadata:\n  namespace: ../kube\n", 1),
        f":4: Deployment ../kube/web: metadata.namespace: {NAME.format('../kube')}"),
    "a node that is an option": deployment(11, f"{WEB}.nodeName", '"--privileged" is not a valid name',
                                           pod="nodeName: --privileged"),
    "a host name that is a command": deployment(11, f"{WEB}.hostname", '"$(id)" is not a valid name',
                                                pod="hostname: $(id)"),
    "a variable with '='": deployment(14, f"{BOX}.env[0].name", '"A=B" is not a name for a variable',
                                      container="env: [{name: A=B, value: x}]"),
    "a mount that climbs": deployment(14, f"{BOX}.volumeMounts[0].mountPath", "must be an absolute path without ':'",
                                      container="volumeMounts: [{name: x, mountPath: ../../etc}]"),
    "a config key that climbs": text(f"{CONFIG}data: {{../x: a}}\n", ':4: ConfigMap shop/c: data["../x"]: is not a '
                                     "valid key (use letters, digits"),
    "a terminal's escape": text(f'{CONFIG}data: {{"\\e[31mred": a}}\n', ':4: ConfigMap shop/c: data["?[31mred"]: is'),
}  # fmt: skip

TREE = {
    "a link out of the repository": ("k8s/passwd.yaml", "is a symbolic link, which is not followed: commit the file"),
    "a link to a sibling": ("repo/link", "is a symbolic link, which is not followed: commit the file"),
    "a submodule": ("vendor", "is a submodule, which is not fetched: register its repository as another application"),
    "large file storage": ("big.yaml", "is a Git LFS pointer: commit the manifest itself"),
    "a name that climbs": ("../x.yaml", "has a name that no checkout admits: rename it"),
    "a name with a terminal's escape": ("?[31m.yaml", "has a name with control characters, or not in UTF-8: rename it"),
    "100,000 files": ("", "holds 100,002 manifest files; at most 20,000 are read: narrow the path"),
}

HIGH = "is out of range (write a smaller number)"
GRACE = "terminationGracePeriodSeconds"
NUMBERS = {
    **{f"{count} replicas": text(web().replace("replicas: 3", f"replicas: {count}"),
                                 f":6: {IN_WEB}spec.replicas: {sentence}")
       for count, sentence in ((-1, "must be at least 0"), (10**11, HIGH), ("lots", "must be a whole number, not text"),
                               (2**31 - 1, "must be at most 10000 (write fewer"), (10_001, "must be at most 10000"))},
    "no number": text(web().replace("replicas: 3", "replicas: .inf"), ":6: is not a number that Kubernetes knows"),
    **{f"{GRACE} {seconds}": deployment(11, f"{WEB}.{GRACE}", sentence, pod=f"{GRACE}: {seconds}")
       for seconds, sentence in ((-1, "must be at least 0"), (2**63 - 1, "must be at most 604800"), (2**63, HIGH),
                                 ("1e30", HIGH), ("forever", "must be a whole number, not text"))},
    **{spec: deployment(7, f"spec.{spec.partition(':')[0]}", sentence, spec=spec)
       for spec, sentence in (("progressDeadlineSeconds: 0", "must be at least 1"),
                              ("progressDeadlineSeconds: 9999999999", HIGH), ("minReadySeconds: -5", "must be"),
                              ("progressDeadlineSeconds: 10m", "must be a whole number, not text"),
                              ("revisionHistoryLimit: -1", "must be at least 0"))},
    **{what: deployment(14, f"{BOX}.{field}", sentence, container=what)
       for what, field, sentence in (
           ("livenessProbe: {exec: {command: [x]}, periodSeconds: -1}", "livenessProbe.periodSeconds", "must be at"),
           ("livenessProbe: {exec: {command: [x]}, timeoutSeconds: 99999999999}", "livenessProbe.timeoutSeconds", HIGH),
           ("lifecycle: {preStop: {sleep: {seconds: 9223372036854775807}}}", "lifecycle.preStop.sleep.seconds",
            f"must be at most {GRACE} (30)"),
           ("resources: {requests: {memory: -1}}", "resources.requests.memory", '"-1" is negative'),
           ("resources: {requests: {cpu: 1e999}}", "resources.requests.cpu", '"1e999" has an exponent beyond 30'),
           ("resources: {requests: {memory: 1e25}}", "resources.requests.memory", '"1e+25" is more than can be'),
           ("ports: [{containerPort: 99999}]", "ports[0].containerPort", "must be at most 65535"),
           ("securityContext: {runAsUser: 99999999999}", "securityContext.runAsUser", "must be at most 2147483647"))},
    "a long name": text(
        web("web").replace("name: web\n", f"name: {'a' * 64}\n", 1),
        f':4: Deployment shop/{"a" * 64}: metadata.name: "{"a" * 64}" has 64 characters, 63 are the limit'),
    "a name of a megabyte": text(
        web("web").replace("name: web\n", f"name: {'a' * 1_000_000}\n", 1),
        f":4: Deployment shop/{'a' * 101}...: metadata.name: \"{'a' * 117}...\" has 1000000 characters, 63 are the"),
}  # fmt: skip

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
SECRETS = {
    "base64 with a slip": text(f"{SECRET}data: {{a: '{HUSH}!'}}\n", ":4: Secret shop/s: data.a: is not base64"),
    "a number": text(f"{SECRET}stringData: {{a: 31337}}\n", ":4: Secret shop/s: stringData.a: must be text, not a"),
    "a map": text(f"{SECRET}stringData: {{a: {{{HUSH}: x}}}}\n", ":4: Secret shop/s: stringData.a: must be text"),
    "a bad key": text(f"{SECRET}data: {{'b c': {HUSH}}}\n", ':4: Secret shop/s: data["b c"]: is not a valid key'),
    "broken YAML": text(f"{SECRET}data: {{a: {HUSH}\n", ":5: is not valid YAML: "),
    "a type that wants more": text(f"{SECRET}type: kubernetes.io/tls\ndata: {{tls.crt: {HUSH}}}\n",
                                   ':5: Secret shop/s: data["tls.key"]: is required for type: kubernetes.io/tls'),
    "duplicate keys": text(f"{SECRET}data: {{a: {HUSH}, a: {HUSH}}}\n", ":4: the key a stands twice"),
}  # fmt: skip

INGRESS = """apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i}
spec:
  rules:
  - host: shop.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
PATH = "Ingress shop/i: spec.rules[0].http.paths[0].path"
NODE_PORT = SERVICE.replace("port: 80", "port: 80, nodePort: 30080").replace("selector", "type: NodePort, selector")
NETWORK = {
    **{f"path {path!r}": text(INGRESS.replace("path: /\n", f"path: {path}\n"), f":9: {PATH}: {sentence}")
       for path, sentence in (('"/a\\n  bind :22"', '"/a?  bind :22" holds characters that no path'),
                              ("/a b", '"/a b" holds characters that no path has'),
                              ("/../etc", '"/../etc" holds //, /./, /../ or %2F'))},
    "a host that is a directive": text(
        INGRESS.replace("host: shop.example", 'host: "a\\n  bind :22"'),
        ':6: Ingress shop/i: spec.rules[0].host: "a?  bind :22" is not a valid name'),
    "a snippet": text(INGRESS.replace("{name: i}", "{name: i, annotations: {nginx.org/server-snippets: x}}"),
                      ':3: Ingress shop/i: metadata.annotations["nginx.org/server-snippets"]: is not supported'),
    "one host and path twice": text(
        f"{INGRESS}---\n{INGRESS.replace('name: i', 'name: j')}",
        ":21: Ingress shop/j: spec.rules[0].http.paths[0].path: shop.example/ is taken by Ingress shop/i (a.yaml:9)"),
    "a port of nodes twice": text(f"{NODE_PORT}---\n{NODE_PORT.replace('name: s', 'name: t')}",
                                  ":9: Service shop/t: spec.ports[0].nodePort: 30080 is taken by Service shop/s (a"),
    "UDP": text(SERVICE.replace("port: 80", "port: 53, protocol: UDP"),
                ':4: Service shop/s: spec.ports[0].protocol: "UDP" is not supported (the router carries TCP'),
    "a budget without a limit": text(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: p}\nspec: {selector: {}}\n",
        ":4: PodDisruptionBudget shop/p: spec: needs minAvailable or maxUnavailable: without a limit Kubernetes "
        "lets no pod go, ever (write one of the two, such as maxUnavailable: 1)"),
    **{f"a budget that says {limit}": text(
        f"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: p}}\nspec:\n  {limit}\n",
        f":5: PodDisruptionBudget shop/p: spec.{sentence}")
       for limit, sentence in (
           ("minAvailable: -1", "minAvailable: must not be negative (write a number"),
           ("minAvailable: 101%", "minAvailable: must be at most 100% (write a number"),
           ("maxUnavailable: half", "maxUnavailable: is neither a number nor a percentage (write a number"),
           ("maxUnavailable: true", "maxUnavailable: must be a whole number or text, not a boolean (put it in quotes"),
           ("{minAvailable: 1, maxUnavailable: 1}", "maxUnavailable: stands beside minAvailable: only one of them can "
            "hold (remove one of the two)"),
           ("{minAvailable: 1, unhealthyPodEvictionPolicy: Never}", 'unhealthyPodEvictionPolicy: "Never" is not '
            "supported (write IfHealthyBudget or AlwaysAllow)"),
           ("{minAvailable: 1, selektor: {}}", "selektor: is not a field that Kubernetes knows (did you mean "
            "selector?)"),
       )},
    "egress": text("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {egress: [{}]}\n",
                   ":4: NetworkPolicy shop/p: spec.egress: is not supported (egress is not enforced here: remove it"),
    "a header with a line end": deployment(
        14, f"{BOX}.livenessProbe.httpGet.httpHeaders[0].value", "holds a line end or another character",
        container='livenessProbe: {httpGet: {port: 80, httpHeaders: [{name: X, value: "a\\r\\nY: b"}]}}'),
}  # fmt: skip

FINE = {
    "CRLF": f"{CONFIG}data: {{a: '1'}}\n".replace("\n", "\r\n"),
    "a byte order mark": f"\ufeff{CONFIG}data: {{a: '1'}}\n",
    "several documents": f"---\n# nothing\n---\n{CONFIG}data: {{a: '1'}}\n---\n{CONFIG.replace('c}', 'd}')}...\n",
    "a List": f"kind: List\napiVersion: v1\nitems:\n- {CONFIG}data: {{a: '1'}}\n".replace("\nkind", "\n  kind")
              .replace("\nmeta", "\n  meta").replace("\ndata", "\n  data"),
    "anchors": f"{CONFIG.replace('c}', 'c, labels: &l {a: &one 1x}}')}data: {{<<: *l, a: '1', b: *one}}\n",
    "JSON": '{"apiVersion": "v1",\n\t"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}',
}  # fmt: skip

ROWS = {"text": TEXT, "injection": INJECTION, "numbers": NUMBERS, "secrets": SECRETS, "network": NETWORK}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [pytest.param(*row, id=f"{kind}-{name}"[:60]) for kind in ROWS for name, row in ROWS[kind].items()],
)
def test_a_bad_commit_changes_nothing(shop: Shop, files: dict[str, bytes], sentence: str) -> None:
    before = shop.state()
    attempt = refused(shop, shop.bad({"0.yaml": web(image="shop/web:bad").encode(), **files}), sentence)
    assert shop.state() == before
    first = attempt.errors[0]
    assert sentence.startswith(f"{first['file']}:{first['line']}: ")
    assert first["field"] in sentence
    shop.good()
    assert (shop.ready(), shop.state()["containers"]) == (1, before["containers"])


@pytest.mark.parametrize(("path", "reason"), TREE.values(), ids=TREE)
def test_what_a_tree_holds_that_is_not_read_changes_nothing(shop: Shop, path: str, reason: str) -> None:
    before = shop.state()
    sentence = f"{path}: {reason}" if path else reason
    attempt = refused(shop, shop.bad({"0.yaml": web(image="shop/web:bad").encode()}, ((path, reason),)), sentence)
    assert attempt.errors == [
        {"file": path, "line": 0, "field": "", "object": "", "message": reason, "remedy": ""},
    ]
    assert shop.state() == before
    shop.good()


def test_a_commit_full_of_errors_is_one_short_record(shop: Shop) -> None:
    before = shop.state()
    files = {f"{number}.yaml": b"kind: Job\n---\n" * 1000 for number in range(3)}
    attempt = refused(shop, shop.bad(files), "0.yaml: has 800 more errors (mend those first) (and 602 more)")
    assert len(attempt.errors) == 100
    assert shop.state() == before
    shop.good()


def test_a_path_that_is_gone_changes_nothing(shop: Shop) -> None:
    before = shop.state()
    sentence = "git.example.com/shop.git: path k8s does not exist at 1234567: correct the path, or push it"
    (attempt,) = shop.bad({}, failure=sentence)
    assert (attempt.phase, attempt.message) == (Sync.FAILED, sentence)
    shop.pass_time(65)
    assert Sync.objects.filter(message=sentence).count() == 1
    assert Event.objects.filter(reason="SyncFailed", message=sentence, count=1).count() == 1
    assert [*Application.objects.values_list("sync_status", "message")] == [("Unknown", sentence)]
    assert shop.state() == before
    shop.good()


def test_a_server_that_refuses_changes_nothing(shop: Shop) -> None:
    before, attempts = shop.state(), Sync.objects.count()
    shop.source.failure = "git.example.com/shop.git: branch main does not exist: push it, or register another --ref"
    shop.work.wake("poll", Repository.objects.get().uid)
    shop.settle()
    assert [*Repository.objects.values_list("failures", "message")] == [(1, shop.source.failure)]
    assert (shop.state(), Sync.objects.count()) == (before, attempts)
    shop.source.failure = ""
    shop.good()
    assert [*Repository.objects.values_list("failures", "message")] == [(0, "")]


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("polled", [True, False], ids=["a poll fails too", "between two polls"])
def test_a_sync_that_is_asked_for_while_git_is_away_leaves_nothing_unknown(
    shop: Shop, automatic: bool, polled: bool
) -> None:
    """It stayed Unknown until somebody pushed another commit."""
    shop.good()
    before = shop.state()
    Application.objects.update(automatic=automatic)
    shop.source.failure = "git.example.com/shop.git: cannot be reached: timed out"
    repositories.sync("shop", Actor("ann"))
    if polled:
        shop.work.wake("poll", Repository.objects.get().uid)
    shop.settle()
    assert [*Application.objects.values_list("sync_status", "message")] == [("Unknown", shop.source.failure)]
    assert Repository.objects.get().failures == (1 if polled else 0)

    shop.source.failure = ""
    if polled:
        shop.work.wake("poll", Repository.objects.get().uid)
    shop.pass_time(35)
    application = Application.objects.get()
    words = f"Git can be read again: it is at commit {application.commit[:7]}, as before"
    assert (application.sync_status, application.message) == ("Synced", words)
    newest = Sync.objects.first()
    assert newest and (newest.phase, newest.message) == (Sync.SUCCEEDED, words)
    assert [one.reason for one in Event.objects.filter(message=words)] == ["ReadAgain"]
    assert shop.state() == before
    count = Sync.objects.count()
    shop.pass_time(65)
    assert Sync.objects.count() == count


@pytest.mark.parametrize("written", FINE.values(), ids=FINE)
def test_what_only_looks_odd_is_applied(shop: Shop, written: str) -> None:
    before = shop.state()["containers"]
    shop.good(written)
    assert ConfigMap.objects.get(name="c").spec["data"]["a"] == "1"
    assert shop.state()["containers"] == before
