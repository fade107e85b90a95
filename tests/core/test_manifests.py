"""From files to objects: what a manifest becomes, and how errors are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.core.manifests import NamespacePolicy, ReadResult, read_manifests
from deployer.core.repository import SourceFile
from tests.core.manifest_scenarios import OBJECTS, manifest, read

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {tier: front}
  annotations:
spec:
  replicas: 2
  paused:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, creationTimestamp: null}
    spec:
      containers:
        - name: web
          image: shop/web:1.2
"""


def errors(result: ReadResult) -> list[str]:
    return [str(one) for one in result.errors]


def test_a_deployment_becomes_a_manifest() -> None:
    found = manifest(WEB)
    assert (found.key, found.api_version, found.line) == (("Deployment", "shop", "web"), "apps/v1", 1)
    assert (found.labels, found.annotations) == ({"tier": "front"}, {})
    assert found.spec == {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "shop/web:1.2"}]},
        },
    }


def test_a_namespace_is_in_no_namespace() -> None:
    found = manifest(json.dumps(OBJECTS["Namespace"]))
    assert (found.key, found.spec) == (("Namespace", "", "shop"), {})


def test_a_config_map_has_all_its_parts() -> None:
    found = manifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    1\n  empty:\n")
    assert found.spec == {"data": {"a": "1\n", "empty": ""}, "binaryData": {}, "immutable": False}


def test_string_data_is_folded_into_a_secret() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aGk=, b: aGk=}\nstringData: {b: hush}\n"
    assert manifest(text).spec == {"data": {"a": "aGk=", "b": "aHVzaA=="}, "type": "Opaque", "immutable": False}


@pytest.mark.parametrize("kind", ["List", "ConfigMapList"])
def test_a_list_is_unfolded(kind: str) -> None:
    one = {"metadata": {"name": "a"}, "data": {"x": "1"}}
    given = {} if kind == "ConfigMapList" else {"apiVersion": "v1", "kind": "ConfigMap"}
    text = json.dumps({"apiVersion": "v1", "kind": kind, "items": [{**given, **one}, {**given, "metadata": {}}]})
    result = read(text)
    assert [one.key for one in result.manifests] == [("ConfigMap", "shop", "a")]
    assert errors(result) == ["k8s/app.yaml:1: ConfigMap: metadata.name: is required"]


def test_a_line_of_a_list_s_item_is_that_in_the_file() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n  dota: {}\n"
    )
    assert errors(read(text)) == [
        "k8s/app.yaml:7: ConfigMap shop/a: dota: is not a field that Kubernetes knows (did you mean data?)"
    ]


def test_what_kubernetes_ignores_is_dropped_with_a_warning() -> None:
    data: dict[str, Any] = json.loads(json.dumps(OBJECTS["Deployment"]))
    data["status"] = {"replicas": 3}
    data["metadata"] |= {"uid": "x", "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z"}
    last_applied = "kubectl.kubernetes.io/last-applied-configuration"
    data["metadata"]["annotations"] = {last_applied: "{}", "mine": "1"}
    data["spec"]["template"]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    result = read(json.dumps(data))
    assert result.manifests[0].annotations == {"mine": "1"}
    assert "creationTimestamp" not in result.manifests[0].spec["template"]["metadata"]
    assert [one.field for one in result.warnings] == [
        f'metadata.annotations["{last_applied}"]', "metadata.creationTimestamp", "metadata.resourceVersion",
        "metadata.uid", "spec.template.metadata.creationTimestamp", "status",
    ]  # fmt: skip
    assert str(result.warnings[-1]) == (
        "k8s/app.yaml:1: Deployment shop/web: status: is dropped: Kubernetes ignores it in a manifest too (remove it)"
    )


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("kind: Job", "kind: Job is not supported yet (kinds that are: AnalysisTemplate, ConfigMap, Deployment, "
                      "Ingress, Namespace, NetworkPolicy, Pod, PodDisruptionBudget, Rollout, Secret, Service)"),
        ("kind: IngressClass\napiVersion: networking.k8s.io/v1",
         "kind: IngressClass is not needed (there is one class, pierhead, and it needs no object; remove this one)"),
        ("kind: HTTPRoute\napiVersion: gateway.networking.k8s.io/v1",
         "kind: HTTPRoute is not supported (write an Ingress)"),
        ("kind: Ingress", "apiVersion: is required (write apiVersion: networking.k8s.io/v1)"),
        ("kind: Ingress\napiVersion: extensions/v1beta1",
         "apiVersion: Ingress is served as networking.k8s.io/v1, not extensions/v1beta1 (write apiVersion: "
         "networking.k8s.io/v1, give each path a pathType, and each backend service: {name: NAME, port: {number: "
         "PORT}})"),
        ("kind: NetworkPolicy\napiVersion: networking.k8s.io/v1beta1",
         "apiVersion: NetworkPolicy is served as networking.k8s.io/v1, not networking.k8s.io/v1beta1 (write "
         "apiVersion: networking.k8s.io/v1)"),
        ("kind: NetworkPolicy\napiVersion: projectcalico.org/v3",
         "apiVersion: NetworkPolicy of projectcalico.org/v3 is not supported (remove the object)"),
        ("kind: ReplicaSet", "kind: ReplicaSet is made by Pierhead from a Deployment (write the Deployment)"),
        ("kind: Deploymnt", "kind: Deploymnt is not a kind that Pierhead supports (did you mean Deployment?)"),
        ("kind: Widget", "kind: Widget is not a kind that Pierhead supports (kinds that are: AnalysisTemplate, "
                         "ConfigMap, Deployment, Ingress, Namespace, NetworkPolicy, Pod, PodDisruptionBudget, "
                         "Rollout, Secret, Service)"),
        ("kind: Rollout", "apiVersion: is required (write apiVersion: argoproj.io/v1alpha1)"),
        ("kind: Rollout\napiVersion: argoproj.io/v1",
         "apiVersion: Rollout is served as argoproj.io/v1alpha1, not argoproj.io/v1 (write apiVersion: "
         "argoproj.io/v1alpha1)"),
        ("kind: Experiment\napiVersion: argoproj.io/v1alpha1",
         "kind: Experiment is not supported (write a Rollout, whose canary is judged against its stable pods)"),
        ("kind: AnalysisRun\napiVersion: argoproj.io/v1alpha1",
         "kind: AnalysisRun is made by Pierhead from a Rollout's strategy, never written (write an AnalysisTemplate)"),
        ("kind: ClusterAnalysisTemplate\napiVersion: argoproj.io/v1alpha1",
         "kind: ClusterAnalysisTemplate is not supported (templates are of one namespace, write an AnalysisTemplate "
         "there)"),
        ("kind: Deployment\napiVersion: extensions/v1beta1",
         "apiVersion: Deployment is served as apps/v1, not extensions/v1beta1 (write apiVersion: apps/v1)"),
        ("kind: Deployment", "apiVersion: is required (write apiVersion: apps/v1)"),
        ("kind: Service\napiVersion: serving.knative.dev/v1",
         "apiVersion: Service of serving.knative.dev/v1 is not supported (remove the object)"),
        ("apiVersion: v1", "kind: is required (move the file out of the application's path if it is no Kubernetes "
                           "object)"),
        ("resources: [a.yaml]", "kind: is required (a kustomization is built when the application's path names its "
                                "folder, as kustomization.yaml)"),
        ("services: {}", "kind: is required (a Compose file is read when the application's path names it, or its "
                         "folder and it is compose.yaml)"),
        ("kind: [x]", "kind: is required (move the file out of the application's path if it is no Kubernetes object)"),
        ("kind: List\napiVersion: v1\nitems: 5", "items: must be a list (write '- ' before each object)"),
        ("kind: List\napiVersion: v1\nitems: []\nitem: []",
         "item: is not a field of a List (put the objects under items)"),
    ],
)  # fmt: skip
def test_a_kind_that_is_not_served_says_so(head: str, sentence: str) -> None:
    (told,) = errors(read(head))
    assert told.split(": ", 1)[1] == sentence


@pytest.mark.parametrize("text", ["- 1", "hello", "5", "- a: 1"])
def test_what_is_no_object_says_so(text: str) -> None:
    (told,) = errors(read(text))
    assert "not a Kubernetes object (move the file out of the application's path" in told


def test_all_errors_of_all_files_are_told_in_order() -> None:
    broken = (
        WEB.replace("replicas: 2", "replica: 2")
        .replace("shop/web:1.2", "Shop:1:2")
        .replace("name: web\n  l", "name: WEB\n  l")
    )
    files = [SourceFile("k8s/b.yaml", broken.encode()), SourceFile("k8s/a.yaml", b"a: [\n---\nkind: Job\n")]
    result = read_manifests(files, default_namespace="shop", policies={})
    assert [(one.file, one.line, one.field) for one in result.errors] == [
        ("k8s/a.yaml", 2, ""),
        ("k8s/a.yaml", 3, "kind"),
        ("k8s/b.yaml", 4, "metadata.name"),
        ("k8s/b.yaml", 8, "spec.replica"),
        ("k8s/b.yaml", 16, "spec.template.spec.containers[0].image"),
    ]
    assert result.manifests == ()


def test_an_object_in_two_places_names_both() -> None:
    files = [SourceFile("a.yaml", WEB.encode()), SourceFile("b.yaml", b"# again\n" + WEB.encode())]
    result = read_manifests(files, default_namespace="shop", policies={})
    assert errors(result) == [
        "b.yaml:2: Deployment shop/web: metadata.name: stands in a.yaml:1 as well (remove one of the two)"
    ]


def test_a_node_port_in_two_services_names_both() -> None:
    text = "\n---\n".join(
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        "spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}"
        for name in ("one", "two")
    )
    assert errors(read(text)) == [
        "k8s/app.yaml:9: Service shop/two: spec.ports[0].nodePort: 30080 is taken by Service shop/one "
        "(k8s/app.yaml:4) (change one of them)"
    ]


def test_a_plain_secret_is_a_warning() -> None:
    result = read("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aHVzaA==}\n")
    assert not result.errors
    assert [str(one) for one in result.warnings] == [
        "k8s/app.yaml:4: Secret shop/s: data: a Secret in plain text in Git can be read by everyone who reads the "
        "repository (give it new values and encrypt the file with sops: `manage.py repository age-key` says for whom)"
    ]


def test_no_value_of_a_secret_is_ever_told() -> None:
    text = """\
apiVersion: v1
kind: Secret
metadata: {name: s, annotations: {x: 5}}
type: [hush-1]
data: {a: "hush-2!", b: 31337, "bad key": "hush-3", c: {hush-4: 1}, d: [hush-5]}
stringData: {a: 31338, e: hush-6, f: yes}
immutable: hush-7
"""
    result = read(text)
    assert len(result.errors) >= 7
    said = " ".join(str(one) for one in (*result.errors, *result.warnings)) + repr(result)
    assert not [word for word in ("hush-1", "hush-2", "hush-3", "hush-5", "hush-6", "hush-7", "3133") if word in said]


def test_a_manifest_s_repr_holds_no_content() -> None:
    assert "aHVzaA" not in repr(read("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aHVzaA==}\n"))


def test_the_cache_gives_the_same_and_heeds_what_reading_depends_on() -> None:
    text = WEB.replace("containers:", "hostNetwork: true\n      containers:").encode()
    cache: dict[Any, Any] = {}

    def again(path: str = "a.yaml", namespace: str = "shop", allowed: str = "") -> ReadResult:
        policies = {"shop": NamespacePolicy(frozenset(allowed.split()))}
        return read_manifests([SourceFile(path, text)], default_namespace=namespace, policies=policies, cache=cache)

    first = again()
    assert len(first.errors) == 1
    assert again() == first
    assert len(cache) == 1
    assert again(allowed="host-network").manifests
    assert again(path="b.yaml").errors[0].file == "b.yaml"
    assert again(namespace="other").errors[0].object == "Deployment other/web"
    assert len(cache) == 4


def test_a_file_full_of_errors_is_cut_short() -> None:
    result = read("---\nkind: Job\n" * 500)
    assert len(result.errors) == 201
    assert str(result.errors[0]) == "k8s/app.yaml: has 300 more errors (mend those first)"
