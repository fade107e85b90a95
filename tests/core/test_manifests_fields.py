"""Fields: typos, types, and what Kubernetes has but Pierhead does not."""

from __future__ import annotations

import pytest

from tests.core.manifest_scenarios import read, remedies, told

C = "spec.containers[0]"
_UNKNOWN = "is not a field that Kubernetes knows"


@pytest.mark.parametrize(
    ("kind", "change", "field", "remedy"),
    [
        ("Deployment", "spec.replica = 2", "spec.replica", "did you mean replicas?"),
        ("Deployment", "spec.template.spec.container = []", "spec.template.spec.container", "did you mean containers?"),
        ("Deployment", "spec.template.spec.replicas = 2", "spec.template.spec.replicas",
         "it belongs into spec: check the indentation"),
        ("Deployment", "spec.containers = []", "spec.containers",
         "it belongs into spec.template.spec: check the indentation"),
        ("Pod", f"{C}.hostNetwork = true", f"{C}.hostNetwork", "it belongs into spec: check the indentation"),
        ("Pod", f"{C}.readOnly = true", f"{C}.readOnly", ""),
        ("Pod", f"{C}.imagepullpolicy = Always", f"{C}.imagepullpolicy", "did you mean imagePullPolicy?"),
        ("Pod", f"{C}.ports[0] = {{containerport: 80}}", f"{C}.ports[0].containerport", "did you mean containerPort?"),
        ("Service", "spec.port = 80", "spec.port", "did you mean ports?"),
        ("ConfigMap", "dat = {}", "dat", "did you mean data?"),
        ("Namespace", "metadata.lables = {}", "metadata.lables", "did you mean labels?"),
    ],
)  # fmt: skip
def test_a_typo_gets_a_suggestion(kind: str, change: str, field: str, remedy: str) -> None:
    assert f"{field}: {_UNKNOWN}" in told(kind, change)
    assert remedies(kind, change)[0].startswith(remedy)


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        ("Pod", f"{C}.env[0] = {{name: A, value: 5}}", f"{C}.env[0].value: must be text, not a whole number"),
        ("Pod", f"{C}.env[0] = {{name: A, value: true}}", f"{C}.env[0].value: must be text, not a boolean"),
        ("Pod", f"{C}.command = sleep 5", f"{C}.command: must be a list, not text"),
        ("Pod", f"{C}.command = [sleep, 5]", f"{C}.command[1]: must be text, not a whole number"),
        ("Pod", f"{C}.command = [sleep, null]", f"{C}.command[1]: must be text, not empty (null)"),
        ("Pod", f"{C}.stdin = 'yes'", f"{C}.stdin: must be true or false, not text"),
        ("Pod", f"{C}.resources = []", f"{C}.resources: must be a map, not a list"),
        ("Pod", "spec.containers = []", "spec.containers: must not be empty"),
        ("Pod", "spec.containers = {}", "spec.containers: must be a list, not a map"),
        ("Pod", "spec.containers = -", "spec.containers: is required"),
        ("Pod", "spec = -", "spec: is required"),
        ("Pod", "metadata = -", "metadata: is required"),
        ("Pod", "metadata.name = -", "metadata.name: is required"),
        ("Pod", f"{C}.image = -", f"{C}.image: is required"),
        ("Pod", f"{C}.image = ''", f"{C}.image: must not be empty"),
        ("Pod", "metadata.labels.a = 1.5", "metadata.labels.a: must be text, not a number"),
        ("Deployment", "spec.replicas = -1", "spec.replicas: must be at least 0"),
        ("Deployment", "spec.replicas = 99999999999", "spec.replicas: is out of range"),
        ("Deployment", "spec.replicas = two", "spec.replicas: must be a whole number, not text"),
        ("Deployment", "spec.strategy.rollingUpdate.maxSurge = 1.5",
         "spec.strategy.rollingUpdate.maxSurge: must be a whole number or text, not a number"),
        ("Pod", f"{C}.ports[0] = {{containerPort: 70000}}", f"{C}.ports[0].containerPort: must be at most 65535"),
        ("Pod", f"{C}.imagePullPolicy = Sometimes", f'{C}.imagePullPolicy: "Sometimes" is not supported'),
        ("ConfigMap", "data.PORT = 8080", "data.PORT: must be text, not a whole number"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_said_in_words(kind: str, change: str, sentence: str) -> None:
    assert told(kind, change) == [sentence]


def test_what_yaml_made_of_a_text_is_shown_as_it_was_written() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {version: 1.10, on_: yes, port: 0644}\n"
    assert [str(one).split("data.")[1] for one in read(text).errors] == [
        'on_: must be text, not a boolean (put it in quotes: "yes")',
        'port: must be text, not a whole number (put it in quotes: "0644")',
        'version: must be text, not a number (put it in quotes: "1.10")',
    ]


@pytest.mark.parametrize(
    ("kind", "change", "field", "remedy"),
    [
        ("Pod", f"{C}.livenessProbe = {{httpGet: {{port: 80, host: db}}}}", f"{C}.livenessProbe.httpGet.host",
         "the pod itself is probed: remove it"),
        ("Pod", f"{C}.readinessProbe = {{tcpSocket: {{port: 80, host: db}}}}", f"{C}.readinessProbe.tcpSocket.host",
         "the pod itself is probed: remove it"),
        ("Pod", f"{C}.startupProbe = {{grpc: {{port: 80}}}}", f"{C}.startupProbe.grpc",
         "use tcpSocket with the same port, or exec with command: [grpc_health_probe, -addr=:50051]"),
        ("Pod", f"{C}.startupProbe = {{exec: {{command: [x]}}, terminationGracePeriodSeconds: 5}}",
         f"{C}.startupProbe.terminationGracePeriodSeconds", "the pod's own terminationGracePeriodSeconds holds"),
        ("Pod", f"{C}.lifecycle.preStop.httpGet = {{port: 80}}", f"{C}.lifecycle.preStop.httpGet",
         "hooks run in the container: use exec"),
        ("Pod", f"{C}.lifecycle.postStart.tcpSocket = {{port: 80}}", f"{C}.lifecycle.postStart.tcpSocket",
         "Kubernetes ignores it: use exec or sleep"),
        ("Ingress", "spec.defaultBackend.resource = {kind: Bucket, name: b}", "spec.defaultBackend.resource",
         "traffic is led to services only: write service"),
        ("NetworkPolicy", "spec.egress = [{}]", "spec.egress", "egress is not enforced here: remove it"),
        ("Pod", "spec.serviceAccountName = robot", "spec.serviceAccountName", "there is no Kubernetes API for pods"),
        ("Pod", "spec.priorityClassName = high", "spec.priorityClassName", "pods have no priority here: remove it"),
        ("Pod", "spec.volumes[0] = {name: d, persistentVolumeClaim: {claimName: d}}",
         "spec.volumes[0].persistentVolumeClaim", "volumes that outlive their pod are not supported yet"),
        ("Pod", "spec.volumes[0] = {name: d, csi: {driver: x}}", "spec.volumes[0].csi", "use configMap, secret"),
        ("Pod", f"{C}.volumeDevices = [{{name: x, devicePath: /dev/x}}]", f"{C}.volumeDevices", "block devices"),
        ("Pod", "metadata.generateName = web-", "metadata.generateName", "an object in Git needs a name that stays"),
        ("Pod", "metadata.finalizers = [x]", "metadata.finalizers", "nothing would ever remove them"),
        ("Pod", "spec.resources.limits.cpu = 1", "spec.resources", "set the resources of the containers"),
        ("Service", "spec.externalIPs = [1.2.3.4]", "spec.externalIPs", "use type: NodePort"),
        ("Namespace", "spec.finalizers = [kubernetes]", "spec.finalizers", "nothing would ever remove them"),
        ("Deployment", "spec.template.metadata.name = x", "spec.template.metadata.name", "Kubernetes has it"),
    ],
)  # fmt: skip
def test_a_field_that_pierhead_lacks_is_refused_by_name(kind: str, change: str, field: str, remedy: str) -> None:
    assert told(kind, change) == [f"{field}: is not supported"]
    assert remedies(kind, change)[0].startswith(remedy)


@pytest.mark.parametrize(
    ("kind", "change", "sentence", "remedy"),
    [
        ("Service", "spec.ports[0].protocol = UDP", 'spec.ports[0].protocol: "UDP" is not supported', "the router"),
        ("Service", "spec.clusterIP = 10.0.0.1", 'spec.clusterIP: "10.0.0.1" is not supported', "Pierhead gives"),
        ("Pod", f"{C}.terminationMessagePolicy = File", f'{C}.terminationMessagePolicy: "File" is not supported',
         "the last log lines are the message"),
        ("Pod", "spec.enableServiceLinks = true", "spec.enableServiceLinks: true is not supported", "services"),
        ("Pod", "spec.dnsPolicy = None", 'spec.dnsPolicy: "None" is not supported', "pods use Docker's resolver"),
        ("NetworkPolicy", "spec.policyTypes = [Ingress, Egress]",
         'spec.policyTypes[1]: "Egress" is not supported', "egress is not enforced here: remove it"),
        ("NetworkPolicy", "spec.ingress[0].ports[0].protocol = UDP",
         'spec.ingress[0].ports[0].protocol: "UDP" is not supported', "pods are connected by TCP only"),
        ("Ingress", "spec.rules[0].http.paths[0].pathType = prefix",
         'spec.rules[0].http.paths[0].pathType: "prefix" is not supported', "write Exact, Prefix or"),
        ("Pod", f"{C}.readinessProbe = {{httpGet: {{port: 80, scheme: https}}}}",
         f'{C}.readinessProbe.httpGet.scheme: "https" is not supported', "write HTTP or HTTPS"),
        ("Pod", "spec.volumes[0] = {name: h, emptyDir: {medium: HugePages}}",
         'spec.volumes[0].emptyDir.medium: "HugePages" is not supported', 'write "Memory"'),
        ("Deployment", "spec.strategy.type = Blue", 'spec.strategy.type: "Blue" is not supported',
         "write RollingUpdate or Recreate"),
    ],
)  # fmt: skip
def test_a_value_that_pierhead_lacks_is_refused_by_name(kind: str, change: str, sentence: str, remedy: str) -> None:
    assert told(kind, change) == [sentence]
    assert remedies(kind, change)[0].startswith(remedy)


def test_an_unsupported_field_does_not_hide_what_else_is_wrong() -> None:
    change = (
        f"{C}.livenessProbe = {{grpc: {{port: 80}}}};; spec.containers[1] = {{nam: x, image: a}};;"
        "spec.containers[2] = {name: web, image: Wrong};; spec.volumes[0] = {name: d, nfs: {server: s, path: /}};;"
        f"{C}.volumeMounts = [{{name: d, mountPath: /d}}, {{name: gone, mountPath: e}}]"
    )
    assert told("Pod", change) == [
        "spec.containers[0].livenessProbe.grpc: is not supported",
        "spec.containers[0].volumeMounts[1].mountPath: must be an absolute path without ':' and '..'",
        'spec.containers[0].volumeMounts[1].name: there is no volume "gone"',
        "spec.containers[1].nam: is not a field that Kubernetes knows",
        'spec.containers[2].image: "Wrong" is not an image reference',
        'spec.containers[2].name: "web" is the name of two containers',
        "spec.volumes[0].nfs: is not supported",
    ]
