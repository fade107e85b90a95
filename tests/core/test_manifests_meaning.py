"""What a manifest means: names, selectors, references, rights."""

from __future__ import annotations

import pytest

from tests.core.manifest_scenarios import changed, read, remedies, told

C = "spec.containers[0]"
V = "spec.volumes[0]"
LONG = "a" * 64


@pytest.mark.parametrize(
    ("kind", "change", "sentences"),
    [
        ("Pod", "metadata.name = Web", ['metadata.name: "Web" is not a valid name']),
        ("Pod", "metadata.name = ''", ["metadata.name: must not be empty"]),
        ("ConfigMap", "metadata.name = a.b-c.0", []),
        ("Deployment", f"metadata.name = {LONG}", [f'metadata.name: "{LONG}" has 64 characters, 63 are the limit']),
        ("Service", "metadata.name = 1st", ['metadata.name: "1st" is not a valid name']),
        ("Namespace", "metadata.namespace = shop", ["metadata.namespace: a Namespace is in no namespace"]),
        ("Namespace", "metadata.annotations['pierhead.io/allow-x'] = y", None),
        ("Pod", "metadata.namespace = My_Space", ['metadata.namespace: "My_Space" is not a valid name']),
        ("Pod", "metadata.labels.a = '-x'", ['metadata.labels.a: "-x" is not a label value']),
        ("Pod", "metadata.labels = {a/b/c: x}", ['metadata.labels["a/b/c"]: "a/b/c" is not a valid key']),
        ("Pod", "metadata.labels = {example.com/app: x}", []),
        (
            "Pod",
            "metadata.annotations = {'bad key': x}",
            ['metadata.annotations["bad key"]: "bad key" is not a valid key'],
        ),
    ],
)
def test_names_are_kubernetes_names(kind: str, change: str, sentences: list[str] | None) -> None:
    if sentences is not None:
        assert told(kind, change) == sentences


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("spec.selector = {}", ["spec.selector: is empty: it would take in every pod"]),
        ("spec.selector.matchLabels.app = other",
         ["spec.selector.matchLabels.app: spec.template.metadata.labels do not have app=other"]),
        ("spec.selector = {matchExpressions: [{key: app, operator: In, values: [x]}]}",
         ["spec.selector.matchExpressions[0]: spec.template.metadata.labels do not match app In"]),
        ("spec.selector = {matchExpressions: [{key: app, operator: Exists}]}", []),
        ("spec.selector = {matchExpressions: [{key: app, operator: Gt, values: ['1']}]}",
         ["spec.selector.matchExpressions[0].operator: Gt compares nodes only"]),
        ("spec.strategy.rollingUpdate = {maxSurge: 0, maxUnavailable: '0%'}",
         ["spec.strategy.rollingUpdate.maxUnavailable: maxSurge and maxUnavailable are both 0: no pod could ever be "
          "replaced"]),
        ("spec.strategy.rollingUpdate = {maxSurge: many}",
         ["spec.strategy.rollingUpdate.maxSurge: is neither a number nor a percentage"]),
        ("spec.strategy.rollingUpdate = {maxSurge: 150%}", []),
        ("spec.strategy.rollingUpdate = {maxUnavailable: 150%}",
         ["spec.strategy.rollingUpdate.maxUnavailable: must be at most 100%"]),
        ("spec.strategy.rollingUpdate = {maxSurge: -1}",
         ["spec.strategy.rollingUpdate.maxSurge: must not be negative"]),
        ("spec.strategy = {type: Recreate, rollingUpdate: {maxSurge: 1}}",
         ["spec.strategy.rollingUpdate: is not for type: Recreate"]),
        ("spec.template.spec.restartPolicy = Never",
         ["spec.template.spec.restartPolicy: must be Always in a Deployment, not Never"]),
        ("spec.template.spec.activeDeadlineSeconds = 5",
         ["spec.template.spec.activeDeadlineSeconds: is not for Deployments"]),
        ("spec.minReadySeconds = 600", ["spec.progressDeadlineSeconds: must be more than minReadySeconds (600)"]),
    ],
)  # fmt: skip
def test_a_deployment_makes_sense(change: str, sentences: list[str]) -> None:
    found = told("Deployment", change)
    assert found[: len(sentences) or None] == sentences


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (f"{C}.name = pause", [f'{C}.name: "pause" is the container that holds a pod\'s network']),
        (f"{C}.image = '-rm'", [f'{C}.image: "-rm" is not an image reference']),
        (f"{C}.image = Shop/Web", [f'{C}.image: "Shop/Web" is not an image reference']),
        (f"{C}.image = 'localhost:5000/a/b_c:v1.2@sha256:{'0' * 64}'", []),
        (f"{C}.workingDir = app", [f"{C}.workingDir: must be an absolute path"]),
        (f"{C}.restartPolicy = Always", [f"{C}.restartPolicy: is for initContainers only"]),
        ("spec.initContainers = [{name: side, image: a, restartPolicy: Always, livenessProbe: {exec: {command: [x]}}}]",
         []),
        ("spec.initContainers = [{name: init, image: a, livenessProbe: {exec: {command: [x]}}}]",
         ["spec.initContainers[0].livenessProbe: is not for init containers that end"]),
        ("spec.initContainers = [{name: init, image: a, lifecycle: {preStop: {sleep: {seconds: 1}}}}]",
         ["spec.initContainers[0].lifecycle: is not for init containers that end"]),
        ("spec.initContainers = [{name: web, image: a}]", [f'{C}.name: "web" is the name of two containers']),
        (f"{C}.resources = {{requests: {{cpu: 2}}, limits: {{cpu: 1500m}}}}",
         [f"{C}.resources.requests.cpu: 2 is more than the limit of 1500m"]),
        (f"{C}.resources.limits = {{memory: 1Gb}}", [f'{C}.resources.limits.memory: "1Gb" is not a quantity']),
        (f"{C}.resources.limits = {{memory: -1}}", [f'{C}.resources.limits.memory: "-1" is negative']),
        (f"{C}.resources.limits = {{ephemeral-storage: 1Gi}}",
         [f'{C}.resources.limits["ephemeral-storage"]: is not supported']),
        (f"{C}.resources.limits = {{nvidia.com/gpu: 1}}",
         [f'{C}.resources.limits["nvidia.com/gpu"]: is not supported']),
        (f"{C}.ports = [{{containerPort: 80, name: web}}, {{containerPort: 81, name: web}}]",
         [f'{C}.ports[1].name: "web" is the name of two ports']),
        (f"{C}.ports = [{{containerPort: 80, name: Way_too_long_name}}]",
         [f'{C}.ports[0].name: "Way_too_long_name" is not a port name']),
        (f"{C}.ports = [{{containerPort: 80, hostPort: 80}}, {{containerPort: 81, hostPort: 80, hostIP: 10.0.0.1}}]",
         [f"{C}.ports[1].hostPort: 80/TCP is taken twice in this pod"]),
        (f"{C}.ports = [{{containerPort: 80, hostPort: 80}}, {{containerPort: 81, hostPort: 80, protocol: UDP}}]", []),
        (f"{C}.ports = [{{containerPort: 80, hostPort: 80, hostIP: 10.0.0.2}}, "
         "{containerPort: 81, hostPort: 80, hostIP: 10.0.0.1}]", []),
        (f"{C}.livenessProbe = {{exec: {{}}}}", [f"{C}.livenessProbe.exec.command: must not be empty"]),
        (f"{C}.livenessProbe = {{exec: {{command: [a]}}}};; {C}.readinessProbe = {{exec: {{command: [b]}}}}",
         [f"{C}.readinessProbe.exec.command: differs from the command of livenessProbe: Docker runs one health check "
          "per container"]),
        (f"{C}.livenessProbe = {{exec: {{command: [a]}}}};; {C}.readinessProbe = {{exec: {{command: [a]}}}}", []),
        (f"{C}.lifecycle.preStop = {{}}", [f"{C}.lifecycle.preStop: needs exactly one of exec and sleep"]),
        (f"{C}.lifecycle.preStop.sleep.seconds = 31",
         [f"{C}.lifecycle.preStop.sleep.seconds: must be at most terminationGracePeriodSeconds (30)"]),
        (f"spec.securityContext.runAsUser = 0;; {C}.securityContext.runAsNonRoot = true",
         [f"{C}.securityContext.runAsNonRoot: runAsNonRoot and runAsUser 0 contradict each other"]),
    ],
)  # fmt: skip
def test_a_container_makes_sense(change: str, sentences: list[str]) -> None:
    assert told("Pod", change) == sentences


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("{name: 1A}", 'name: "1A" is not a name for a variable'),
        ("{name: A, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}", "valueFrom: stands beside value"),
        ("{name: A, valueFrom: {}}", "valueFrom: needs exactly one source, and has none"),
        ("{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}, secretKeyRef: {name: a, key: b}}}",
         "valueFrom: needs exactly one source, and has 2"),
        ("{name: A, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}",
         'valueFrom.fieldRef.fieldPath: "spec.serviceAccountName" is not supported'),
        ("{name: A, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}",
         'valueFrom.fieldRef.fieldPath: "metadata.labels" is not supported'),
        ("{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}", ""),
        ("{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}", ""),
        ("{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory}}}",
         "valueFrom.resourceFieldRef.resource: container web sets no limits.memory"),
        ("{name: A, valueFrom: {resourceFieldRef: {resource: limits.disk}}}",
         'valueFrom.resourceFieldRef.resource: "limits.disk" is not supported'),
        ("{name: A, valueFrom: {configMapKeyRef: {name: Conf, key: a}}}",
         'valueFrom.configMapKeyRef.name: "Conf" is not a valid name'),
        ("{name: A, valueFrom: {configMapKeyRef: {name: conf}}}", "valueFrom.configMapKeyRef.key: is required"),
    ],
)  # fmt: skip
def test_a_variable_makes_sense(variable: str, sentence: str) -> None:
    assert told("Pod", f"{C}.env = [{variable}]") == ([f"{C}.env[0].{sentence}"] if sentence else [])


def test_variables_have_names_of_their_own() -> None:
    assert told("Pod", f"{C}.env = [{{name: A}}, {{name: A}}]") == [
        f'{C}.env[1].name: "A" is the name of two variables'
    ]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (f"{V} = {{name: d}}", [f"{V}: needs exactly one source, and has none"]),
        (f"{V} = {{name: d, emptyDir: {{}}, secret: {{secretName: a}}}}",
         [f"{V}: needs exactly one source, and has 2"]),
        ("spec.volumes = [{name: d, emptyDir: {}}, {name: d, emptyDir: {}}]",
         ['spec.volumes[1].name: "d" is the name of two volumes']),
        (f"{V} = {{name: d, emptyDir: {{sizeLimit: 1Gi}}}}", [f"{V}.emptyDir.sizeLimit: is not held on disk"]),
        (f"{V} = {{name: d, emptyDir: {{medium: Memory, sizeLimit: 1Gi}}}}", []),
        (f"{V} = {{name: d, emptyDir: {{}}}};; {C}.volumeMounts[0] = {{name: d, mountPath: /d, subPath: x}}",
         [f"{C}.volumeMounts[0].subPath: is not supported on emptyDir"]),
        (f"{V} = {{name: d, configMap: {{name: c}}}};; {C}.volumeMounts[0] = {{name: d, mountPath: /d, subPath: x}}",
         []),
        (f"{V} = {{name: d, configMap: {{name: c}}}};; {C}.volumeMounts[0] = {{name: d, mountPath: /d, subPath: ../x}}",
         [f"{C}.volumeMounts[0].subPath: must be a relative path without '..'"]),
        (f"{V} = {{name: d, emptyDir: {{}}}};; {C}.volumeMounts = [{{name: d, mountPath: /d}}, "
         "{name: d, mountPath: /d/}]", [f"{C}.volumeMounts[1].mountPath: is mounted twice"]),
        (f"{V} = {{name: d, emptyDir: {{}}}};; {C}.volumeMounts = [{{name: d, mountPath: /}}]",
         [f"{C}.volumeMounts[0].mountPath: cannot be the root of the container"]),
        (f"{V} = {{name: d, configMap: {{name: c, defaultMode: 0644}}}}", []),
        (f"{V} = {{name: d, configMap: {{name: c, defaultMode: 644}}}}",
         [f"{V}.configMap.defaultMode: must be at most 511"]),
        (f"{V} = {{name: d, configMap: {{name: c, items: [{{key: a, path: /a}}]}}}}",
         [f"{V}.configMap.items[0].path: must be a relative path without '..'"]),
        (f"{V} = {{name: d, downwardAPI: {{items: [{{path: a, fieldRef: {{fieldPath: status.podIP}}}}]}}}}",
         [f'{V}.downwardAPI.items[0].fieldRef.fieldPath: "status.podIP" is not supported']),
        (f"{V} = {{name: d, downwardAPI: {{items: [{{path: a, resourceFieldRef: {{resource: limits.cpu}}}}]}}}}",
         [f"{V}.downwardAPI.items[0].resourceFieldRef.containerName: is required in a volume"]),
        (f"{V} = {{name: d, projected: {{sources: [{{}}]}}}}",
         [f"{V}.projected.sources[0]: needs exactly one source, and has none"]),
    ],
)  # fmt: skip
def test_a_volume_makes_sense(change: str, sentences: list[str]) -> None:
    assert told("Pod", change) == sentences


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("spec.tolerations = [{operator: Equal}]",
         ["spec.tolerations[0].operator: must be Exists when there is no key"]),
        ("spec.tolerations = [{key: a, operator: Exists, value: b}]",
         ["spec.tolerations[0].value: must be empty with operator Exists"]),
        ("spec.tolerations = [{key: a, operator: Lt, value: '5'}]",
         ['spec.tolerations[0].operator: "Lt" is not supported']),
        ("spec.tolerations = [{key: a, operator: Exists, tolerationSeconds: 5}]",
         ["spec.tolerations[0].effect: must be NoExecute with tolerationSeconds"]),
        ("spec.topologySpreadConstraints = [{maxSkew: 0, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]",
         ["spec.topologySpreadConstraints[0].maxSkew: must be at least 1"]),
        ("spec.topologySpreadConstraints = [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway, "
         "minDomains: 2}]",
         ["spec.topologySpreadConstraints[0].minDomains: is for whenUnsatisfiable: DoNotSchedule only"]),
        ("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {nodeSelectorTerms: "
         "[{matchExpressions: [{key: a, operator: Gt, values: [x]}]}]}",
         ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
          "matchExpressions[0].values: must be one whole number with Gt"]),
        ("spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution = [{topologyKey: z, labelSelector: "
         "{matchExpressions: [{key: a, operator: In}]}}]",
         ["spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector."
          "matchExpressions[0].values: must not be empty with In"]),
        ("spec.hostAliases = [{ip: nowhere, hostnames: [a]}]",
         ['spec.hostAliases[0].ip: "nowhere" is not an IP address']),
        ("spec.securityContext.sysctls = [{name: kernel.msgmax, value: '1'}]",
         ["spec.securityContext.sysctls[0].name: \"kernel.msgmax\" is not one of Kubernetes' safe sysctls"]),
        ("spec.securityContext.sysctls = [{name: net.ipv4.tcp_syncookies, value: '1'}]", []),
        ("spec.nodeSelector = {a b: c}", ['spec.nodeSelector["a b"]: "a b" is not a valid key']),
    ],
)  # fmt: skip
def test_a_place_makes_sense(change: str, sentences: list[str]) -> None:
    assert told("Pod", change) == sentences


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("spec.ports = -", ["spec.ports: is required"]),
        ("spec.ports = -;; spec.clusterIP = None", []),
        ("spec.ports = [{port: 80}, {port: 81}]",
         ["spec.ports[0].name: is required when there are several ports",
          "spec.ports[1].name: is required when there are several ports"]),
        ("spec.ports = [{port: 80, name: a}, {port: 80, name: a}]",
         ['spec.ports[1].name: "a" is the name of two ports', "spec.ports[1].port: 80/TCP stands here twice"]),
        ("spec.ports[0].nodePort = 30080", ["spec.ports[0].nodePort: is not for type: ClusterIP"]),
        ("spec.type = NodePort;; spec.ports[0].nodePort = 8080",
         ["spec.ports[0].nodePort: 8080 is outside 30000-32767"]),
        ("spec.type = ExternalName", ["spec.externalName: is required for type: ExternalName"]),
        ("spec.type = ExternalName;; spec.externalName = example.com;; spec.ports = -", []),
        ("spec.externalName = example.com", ["spec.externalName: is for type: ExternalName only"]),
        ("spec.type = NodePort;; spec.clusterIP = None",
         ["spec.clusterIP: None (headless) is not for type: NodePort"]),
        ("spec.ports[0].targetPort = 70000", ["spec.ports[0].targetPort: must be between 1 and 65535"]),
        ("spec.ports[0].targetPort = HTTP", ['spec.ports[0].targetPort: "HTTP" is not a port name']),
        ("spec.sessionAffinityConfig = {}", ["spec.sessionAffinityConfig: is for sessionAffinity: ClientIP only"]),
    ],
)  # fmt: skip
def test_a_service_makes_sense(change: str, sentences: list[str]) -> None:
    change = change.replace("spec.clusterIP = None", "spec.clusterIP = 'None'")
    assert told("Service", change) == sentences


@pytest.mark.parametrize(
    ("kind", "change", "sentences"),
    [
        ("ConfigMap", "data = {'a b': x}", ['data["a b"]: is not a valid key']),
        ("ConfigMap", "data = {..a: x}", ['data["..a"]: is not a valid key']),
        ("ConfigMap", "binaryData = {b: '!'}", ["binaryData.b: is not base64"]),
        ("ConfigMap", "binaryData = {a: aGk=}", ["binaryData.a: stands in data as well"]),
        ("Secret", "data.a = hi!", ["data.a: is not base64"]),
        ("Secret", "type = kubernetes.io/tls",
         ['data["tls.crt"]: is required for type: kubernetes.io/tls', 'data["tls.key"]: is required for type: '
          "kubernetes.io/tls"]),
        ("Secret", "type = kubernetes.io/service-account-token",
         ["type: kubernetes.io/service-account-token is not supported"]),
        ("Secret", "type = kubernetes.io/dockerconfigjson;; data = {.dockerconfigjson: aGk=}",
         ['data[".dockerconfigjson"]: is not a Docker configuration']),
        ("Secret", "type = kubernetes.io/dockerconfigjson;; stringData = {.dockerconfigjson: '{\"auths\": {}}'}", []),
        ("Secret", "type = kubernetes.io/basic-auth",
         ["data: needs username or password for type: kubernetes.io/basic-auth"]),
    ],
)  # fmt: skip
def test_config_makes_sense(kind: str, change: str, sentences: list[str]) -> None:
    assert told(kind, change) == sentences


def test_config_has_a_size() -> None:
    half = "x" * 600_000
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: &d\n  a: {half}\n"
    assert not read(text).errors
    both = {**changed("ConfigMap", ""), "data": {"a": half}, "binaryData": {"b": "AAAA" * 150_000}}
    assert len(str(both)) > 1024 * 1024
    assert "the limit for one" in str(read(str(both).replace("'", '"')).errors[0])


@pytest.mark.parametrize(
    ("change", "field", "allowance"),
    [
        (f"{C}.securityContext.privileged = true", f"{C}.securityContext.privileged", "privileged"),
        (f"{V} = {{name: h, hostPath: {{path: /srv}}}}", f"{V}.hostPath", "host-path"),
        (f"{V} = {{name: h, hostPath: {{path: /var/run/docker.sock}}}}", f"{V}.hostPath", "host-path"),
        ("spec.hostNetwork = true", "spec.hostNetwork", "host-network"),
        ("spec.hostPID = true", "spec.hostPID", "privileged"),
        (
            f"{C}.securityContext.capabilities.add = [NET_ADMIN]",
            f"{C}.securityContext.capabilities.add[0]",
            "capabilities",
        ),
        (f"{C}.securityContext.capabilities.add = [ALL]", f"{C}.securityContext.capabilities.add[0]", "capabilities"),
        (
            f"{C}.securityContext.capabilities.add = [NET_RAW]",
            f"{C}.securityContext.capabilities.add[0]",
            "capabilities",
        ),
        (
            f"{C}.securityContext.seccompProfile.type = Unconfined",
            f"{C}.securityContext.seccompProfile.type",
            "privileged",
        ),
        (
            "spec.securityContext.seccompProfile.type = Unconfined",
            "spec.securityContext.seccompProfile.type",
            "privileged",
        ),
    ],
)
def test_what_is_privileged_needs_an_operator(change: str, field: str, allowance: str) -> None:
    (sentence,) = told("Pod", change)
    assert sentence.startswith(f"{field}: ")
    assert sentence.endswith("is not allowed in namespace shop")
    assert remedies("Pod", change)[0].endswith(f"manage.py namespace allow shop {allowance}")
    assert told("Pod", change, allowed=allowance) == []
    others = {"privileged", "host-path", "host-network", "capabilities"} - {allowance, "privileged"}
    assert told("Pod", change, allowed=" ".join(others)) == [sentence]


@pytest.mark.parametrize("path", ["/var/run/docker.sock", "/run/docker.sock", "/var/run", "/", "//run/", "/run/."])
def test_the_docker_socket_is_always_named(path: str) -> None:
    change = f"{V} = {{name: h, hostPath: {{path: {path}}}}}"
    assert "docker.sock" in told("Pod", change)[0]
    result = read(str(changed("Pod", change)).replace("'", '"'), allowed="host-path")
    assert "docker.sock" in result.warnings[0].message


def test_a_path_beside_the_docker_socket_is_not_taken_for_it() -> None:
    assert "docker.sock" not in told("Pod", f"{V} = {{name: h, hostPath: {{path: /var/running}}}}")[0]


def test_a_capability_that_everyone_may_have_is_free() -> None:
    change = f"{C}.securityContext.capabilities = {{add: [CHOWN, NET_BIND_SERVICE], drop: [ALL]}}"
    assert told("Pod", change) == []


def test_a_capability_is_written_as_kubernetes_does() -> None:
    change = f"{C}.securityContext.capabilities.add = [CAP_CHOWN]"
    assert told("Pod", change) == [f'{C}.securityContext.capabilities.add[0]: "CAP_CHOWN" is not a capability']


def test_a_manifest_cannot_allow_itself_anything() -> None:
    data = changed("Namespace", "metadata.annotations = {pierhead.io/allow: host-path}")
    (error,) = read(str(data).replace("'", '"')).errors
    assert str(error).endswith(
        "a manifest cannot allow its own namespace anything (an operator does: manage.py namespace allow shop ...)"
    )
