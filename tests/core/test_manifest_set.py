"""What is wrong between the objects of one commit."""

from __future__ import annotations

import base64
import json

import pytest

from deployer.core.manifest_set import Known
from deployer.core.manifests import read_manifests
from deployer.core.repository import SourceFile
from tests.core.manifest_scenarios import changed
from tests.core.test_tls_pair import certificate, key

P = "spec.rules[0].http.paths[0]"
TLS = "spec.tls = [{hosts: [shop.example], secretName: t}]"


def errors(*objects: dict[str, object]) -> list[str]:
    """One object a file: a.yaml, b.yaml, ... What is said, without the remedy."""
    files = [SourceFile(f"{chr(97 + n)}.yaml", json.dumps(one, indent=1).encode()) for n, one in enumerate(objects)]
    found = read_manifests(files, default_namespace="shop", policies={}).errors
    return [f"{one.file}: {one.object}: {one.field}: {one.message}" for one in found]


def secret(changes: str = "", **data: bytes) -> dict[str, object]:
    given = {"tls.crt": certificate(), "tls.key": key(), **{name.replace("_", "."): one for name, one in data.items()}}
    encoded = {name: base64.b64encode(one).decode() for name, one in given.items()}
    return {**changed("Secret", f"metadata.name = t;; type = kubernetes.io/tls;; {changes}"), "data": encoded}


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (f"{P}.path = /api", f"{P}.path = /api", "shop.example/api"),
        (f"{P}.path = /api/", f"{P}.path = /api", "shop.example/api"),
        (f"{P}.path = /api", f"{P}.path = /api;; {P}.pathType = ImplementationSpecific", "shop.example/api"),
        (f"{P}.pathType = Exact", f"{P}.pathType = Exact;; metadata.namespace = other", "shop.example/"),
        ("spec.rules[0].host = -", "spec.rules[0].host = -", "/ of every host"),
        (f"{P}.path = /api", f"{P}.path = /ap", ""),
        (f"{P}.path = /api", f"{P}.path = /api;; {P}.pathType = Exact", ""),
        (f"{P}.path = /api;; {P}.pathType = Exact", f"{P}.path = /api/;; {P}.pathType = Exact", ""),
        ("spec.rules[0].host = a.example", "spec.rules[0].host = '*.example'", ""),
    ],
)
def test_a_host_and_path_has_one_ingress(first: str, second: str, clash: str) -> None:
    found = errors(changed("Ingress", f"metadata.name = one;; {first}"), changed("Ingress", second))
    assert [one.partition(": Ingress ")[0] for one in found] == ["b.yaml"] * bool(clash)
    assert all(f"{P}.path: {clash} is taken by Ingress shop/one (a.yaml:" in one for one in found)


def test_there_is_one_default_backend() -> None:
    default = "spec.defaultBackend.service = {name: a, port: {number: 1}}"
    first = changed("Ingress", f"metadata.name = one;; spec.rules = -;; {default}")
    (told,) = errors(first, changed("Ingress", default))
    assert told.startswith(
        "b.yaml: Ingress shop/web: spec.defaultBackend: the default backend is taken by Ingress shop/one"
    )
    assert errors(first, changed("Ingress", "spec.rules[0].host = -")) == []


def test_one_ingress_cannot_have_a_path_twice() -> None:
    backend = "{service: {name: web, port: {number: 80}}}"
    twice = changed("Ingress", f"spec.rules[0].http.paths[1] = {{path: /, pathType: Prefix, backend: {backend}}}")
    (told,) = errors(twice)
    assert told.startswith("a.yaml: Ingress shop/web: spec.rules[0].http.paths[1].path: shop.example/ is taken by ")


def test_an_ingress_in_two_places_is_told_once() -> None:
    assert errors(changed("Ingress", ""), changed("Ingress", "")) == [
        "b.yaml: Ingress shop/web: metadata.name: stands in a.yaml:1 as well"
    ]


def test_a_pair_that_belongs_together_is_fine() -> None:
    assert errors(changed("Ingress", TLS), secret()) == []


def test_a_key_of_another_certificate_is_told_at_the_secret() -> None:
    (told,) = errors(secret(tls_key=key(number=1)))
    assert told == 'a.yaml: Secret shop/t: data["tls.key"]: does not belong to the certificate in tls.crt'


def test_a_pair_under_string_data_is_looked_at_as_well() -> None:
    given = {
        **secret(),
        "data": {},
        "stringData": {"tls.crt": certificate().decode(), "tls.key": key(number=1).decode()},
    }
    (told,) = errors(given)
    assert told == 'a.yaml: Secret shop/t: stringData["tls.key"]: does not belong to the certificate in tls.crt'


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (changed("Secret", "metadata.name = t"), "type: must be kubernetes.io/tls"),
        (secret("type = Opaque"), "type: must be kubernetes.io/tls"),
        (secret(tls_key=b""), 'data["tls.key"]: must not be empty'),
        (secret(tls_crt=b""), 'data["tls.crt"]: must not be empty'),
    ],
)
def test_a_secret_that_cannot_serve_is_told_when_an_ingress_wants_it(found: dict[str, object], said: str) -> None:
    assert errors(found) == []
    assert errors(changed("Ingress", TLS), found) == [f"b.yaml: Secret shop/t: {said}: Ingress shop/web serves with it"]
    second = changed("Ingress", f"metadata.name = x;; spec.rules[0].host = x.example;; {TLS.replace('shop.', 'x.')}")
    assert len(errors(changed("Ingress", TLS), found, second)) == 1
    assert errors(changed("Ingress", f"metadata.namespace = other;; {TLS}"), found) == []


@pytest.mark.parametrize(
    ("service", "port", "said"),
    [
        ("", "{number: 80}", ""),
        ("spec.ports[0].name = http", "{name: http}", ""),
        ("", "{number: 8080}", "Service shop/web has no port 8080"),
        ("", "{name: http}", "Service shop/web has no port http"),
        ("metadata.namespace = other", "{name: http}", ""),
        ("metadata.name = other", "{name: http}", ""),
        ("spec = {type: ExternalName, externalName: a.example}", "{number: 443}", ""),
    ],
)
def test_an_ingress_leads_to_a_port_that_is_there(service: str, port: str, said: str) -> None:
    found = errors(changed("Ingress", f"{P}.backend.service.port = {port}"), changed("Service", service))
    assert found == ([f"a.yaml: Ingress shop/web: {P}.backend.service.port: {said}"] if said else [])


def test_a_node_port_is_one_service_s() -> None:
    nodes = "spec.type = NodePort;; spec.ports[0].nodePort = 30080"
    other = changed("Service", f"metadata.name = two;; metadata.namespace = other;; {nodes}")
    assert errors(changed("Service", nodes), other) == [
        "b.yaml: Service other/two: spec.ports[0].nodePort: 30080 is taken by Service shop/web (a.yaml:14)"
    ]


CANARY = "spec.strategy.canary"
ASKED = f"{CANARY}.analysis = {{templates: [{{templateName: errors}}], args: [{{name: service, value: web}}]}}"
NO_TEMPLATE = "there is no AnalysisTemplate errors in namespace shop"


def told_of(*objects: dict[str, object], known: Known | None = None) -> list[str]:
    """Errors and warnings about the last of some objects."""
    files = [SourceFile(f"{chr(97 + n)}.yaml", json.dumps(one, indent=1).encode()) for n, one in enumerate(objects)]
    found = read_manifests(files, default_namespace="shop", policies={}, known=known)
    told = [*((one, "") for one in found.errors), *((one, "warning: ") for one in found.warnings)]
    return [f"{word}{one.field}: {one.message}" for one, word in told if one.file == files[-1].path]


@pytest.mark.parametrize(("first", "second"), [("Deployment", "Rollout"), ("Rollout", "Deployment")])
def test_of_one_name_there_is_one_workload(first: str, second: str) -> None:
    (told,) = told_of(changed(first, ""), changed(second, ""))
    assert told == f"metadata.name: is taken by {first} shop/web (a.yaml:1): of one name there is one workload"
    assert told_of(changed(first, ""), changed(second, "metadata.namespace = other")) == []


@pytest.mark.parametrize(
    ("template", "rollout", "sentences"),
    [
        ("", ASKED, []),
        ("metadata.namespace = other", ASKED, [f"{CANARY}.analysis.templates[0].templateName: {NO_TEMPLATE}"]),
        ("metadata.name = other", ASKED, [f"{CANARY}.analysis.templates[0].templateName: {NO_TEMPLATE}"]),
        ("", f"{ASKED};; {CANARY}.analysis.args = []",
         [f"{CANARY}.analysis.args: AnalysisTemplate errors needs the argument service"]),
        ("spec.metrics[0].interval = 1m", f"{CANARY}.steps[0] = {{analysis: {{templates: [{{templateName: errors}}], "
         "args: [{name: service, value: web}]}}",
         [f"{CANARY}.steps[0].analysis.templates: AnalysisTemplate errors, spec.metrics[0].count: errors would never "
          "end, and a step waits for it"]),
        ("spec.metrics[0].count = '{{args.service}}'", ASKED,
         [f"{CANARY}.analysis.templates: AnalysisTemplate errors, spec.metrics[0].count: must be a whole number of at "
          "least 0"]),
        ("spec.metrics[0].count = many", ASKED, []),
        ("spec.templates = [{templateName: gone}]", ASKED, []),
        ("", "spec.strategy = {blueGreen: {activeService: web, prePromotionAnalysis: {templates: [{templateName: "
         "errors}]}}}", [
            "spec.strategy.blueGreen.prePromotionAnalysis.args: AnalysisTemplate errors needs the argument service",
            "warning: spec.strategy.blueGreen.activeService: there is no Service web yet"]),
    ],
)  # fmt: skip
def test_an_analysis_has_its_templates_and_arguments(template: str, rollout: str, sentences: list[str]) -> None:
    """What is wrong with a template is told once, of itself."""
    assert told_of(changed("AnalysisTemplate", template), changed("Rollout", rollout)) == sentences


def test_a_template_can_be_on_record() -> None:
    spec = changed("AnalysisTemplate", "")["spec"]
    rollout = changed("Rollout", ASKED)
    assert told_of(rollout, known=Known({"shop": {"errors": spec}})) == []
    assert told_of(rollout, known=Known({"other": {"errors": spec}})) != []
    newer = changed("AnalysisTemplate", "spec.args = [{name: service}, {name: limit, value: '1'}, {name: more}]")
    (told,) = told_of(newer, rollout, known=Known({"shop": {"errors": spec}}))
    assert told.endswith("AnalysisTemplate errors needs the argument more"), "the commit's own is the one that counts"


def test_a_template_that_a_template_names() -> None:
    errors = "spec.metrics = [];; spec.templates = [{templateName: errors}]"
    assert told_of(changed("AnalysisTemplate", errors)) == [], "it names itself"
    more = changed("AnalysisTemplate", f"metadata.name = more;; {errors}")
    assert told_of(changed("AnalysisTemplate", ""), more) == []
    assert told_of(more) == [f"spec.templates[0].templateName: {NO_TEMPLATE}"]


def test_the_line_of_a_template_that_is_missing() -> None:
    rollout = changed("Rollout", ASKED)
    text = json.dumps(rollout, indent=1)
    (error,) = read_manifests([SourceFile("a.yaml", text.encode())], default_namespace="shop", policies={}).errors
    assert '"templateName": "errors"' in text.splitlines()[error.line - 1]


@pytest.mark.parametrize(
    ("service", "sentences"),
    [
        ("", []),
        ("metadata.name = other", [f"warning: {CANARY}.canaryService: there is no Service web yet"]),
        ("metadata.namespace = other", [f"warning: {CANARY}.canaryService: there is no Service web yet"]),
        ("spec.selector = {app: other, a: b}",
         [f"{CANARY}.canaryService: Service shop/web selects a=b, app=other, which this Rollout's pods do not have"]),
        ("spec.type = ExternalName;; spec.externalName = a.b;; spec.ports = -",
         [f"{CANARY}.canaryService: Service shop/web selects no pods"]),
        ("spec.ports[0].port = 0", []),
    ],
)  # fmt: skip
def test_a_rollouts_services_lead_to_its_pods(service: str, sentences: list[str]) -> None:
    rollout = changed("Rollout", f"{CANARY}.canaryService = web")
    assert told_of(changed("Service", service), rollout) == sentences
    assert told_of(rollout, known=Known(services=frozenset({("shop", "web")}))) == []


ROUTED = f"{CANARY}.trafficRouting.nginx"
NGINX = "{stableIngress: site}"
UNSPLIT = (
    "warning: spec.rules[0].http.paths[0].backend.service: leads to Service web, to stable pods of Rollout shop/web "
    "alone: a canary gets nothing of it"
)
LEADS_ELSEWHERE = "spec.rules[0].http.paths[0].backend.service.name = other"
MISSING = "there is no Ingress"


@pytest.mark.parametrize(
    ("nginx", "ingress", "of_rollout", "of_ingress"),
    [
        (NGINX, "", [], []),
        ("{stableIngresses: [site, b]}", "", [f"warning: {ROUTED}.stableIngresses[1]: {MISSING} b yet"], []),
        (NGINX, "metadata.name = other", [f"warning: {ROUTED}.stableIngress: {MISSING} site yet"], [UNSPLIT]),
        (NGINX, LEADS_ELSEWHERE, [f"{ROUTED}.stableIngress: no rule of Ingress site leads to Service web"], []),
        ("null", "", [], [UNSPLIT]),
    ],
)
def test_an_ingress_that_leads_to_stable_pods_is_split_or_told(
    nginx: str, ingress: str, of_rollout: list[str], of_ingress: list[str]
) -> None:
    rollout = changed("Rollout", f"{CANARY}.stableService = web;; {ROUTED} = {nginx}")
    led, service = changed("Ingress", f"metadata.name = site;; {ingress}"), changed("Service", "")
    assert told_of(service, led, rollout) == of_rollout
    assert told_of(service, rollout, led) == of_ingress


def test_an_ingress_to_split_can_be_on_record() -> None:
    rollout = changed("Rollout", f"{CANARY}.stableService = web;; {ROUTED} = {NGINX}")
    there = frozenset({("shop", "web")})
    assert told_of(rollout, known=Known(services=there, ingresses=frozenset({("shop", "site")}))) == []
    assert len(told_of(rollout, known=Known(services=there))) == 1
