"""Every field of Compose that is honoured, and what it becomes. What comes out is valid, to the last field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.compose.projects import Converted, converted, service

C, P, D = "container", "pod", "deployment"


def part(found: Converted, where: str, path: str) -> Any:
    start: Any = {C: found.container, P: found.pod, D: found.objects["Deployment web"]}[where]
    for step in path.split("."):
        start = start[int(step) if step.isdecimal() else step]
    return start


@pytest.mark.parametrize(
    ("fields", "where", "path", "value"),
    [
        ("command: bundle exec 'thin -p' 3000", C, "args", ["bundle", "exec", "thin -p", "3000"]),
        ("command: [echo, $$HOME, $$(HOME)]", C, "args", ["echo", "$HOME", "$$(HOME)"]),
        ("entrypoint: /run.sh -v", C, "command", ["/run.sh", "-v"]),
        ("entrypoint: [php, -d, x=1]", C, "command", ["php", "-d", "x=1"]),
        ("environment: {A: yes, B: 0644, C: 1_000, D: 12:30, E: ''}", C, "env",
         [{"name": "A", "value": "yes"}, {"name": "B", "value": "0644"}, {"name": "C", "value": "1_000"},
          {"name": "D", "value": "12:30"}, {"name": "E", "value": ""}]),
        ("environment: [A=1=2, B=]", C, "env", [{"name": "A", "value": "1=2"}, {"name": "B", "value": ""}]),
        ("environment: {A: '$$(B) $$5'}", C, "env", [{"name": "A", "value": "$$(B) $$5"}]),
        ("working_dir: /srv", C, "workingDir", "/srv"),
        ("stdin_open: true\ntty: true", C, "tty", True),
        ("pull_policy: always", C, "imagePullPolicy", "Always"),
        ("pull_policy: missing", C, "imagePullPolicy", "IfNotPresent"),
        ("user: '1000:2000'", C, "securityContext", {"runAsUser": 1000, "runAsGroup": 2000}),
        ("user: root", C, "securityContext", {"runAsUser": 0}),
        ("read_only: true\ncap_drop: [ALL]\ncap_add: [CAP_CHOWN, net_bind_service]", C, "securityContext",
         {"readOnlyRootFilesystem": True, "capabilities": {"add": ["CHOWN", "NET_BIND_SERVICE"], "drop": ["ALL"]}}),
        ("security_opt: ['no-new-privileges:true']", C, "securityContext", {"allowPrivilegeEscalation": False}),
        ("healthcheck: {test: [CMD, curl, localhost], interval: 1m30s, timeout: 10s, retries: 5, start_period: 40s}", C,
         "readinessProbe", {"exec": {"command": ["curl", "localhost"]}, "periodSeconds": 90, "timeoutSeconds": 10,
                            "failureThreshold": 5}),
        ("healthcheck: {test: curl -f localhost || exit 1}", C, "readinessProbe",
         {"exec": {"command": ["/bin/sh", "-c", "curl -f localhost || exit 1"]}, "periodSeconds": 30,
          "timeoutSeconds": 30, "failureThreshold": 3}),
        ("post_start: [{command: [/warm, up]}]\npre_stop: [{command: /drain}]", C, "lifecycle",
         {"postStart": {"exec": {"command": ["/warm", "up"]}}, "preStop": {"exec": {"command": ["/drain"]}}}),
        ("deploy: {resources: {limits: {cpus: '0.50', memory: 50M}, reservations: {cpus: 0.25, memory: 20m}}}", C,
         "resources", {"limits": {"cpu": "500m", "memory": "50Mi"}, "requests": {"cpu": "250m", "memory": "20Mi"}}),
        ("mem_limit: 1g\nmem_reservation: 1024\ncpus: 2", C, "resources",
         {"limits": {"cpu": "2000m", "memory": "1024Mi"}, "requests": {"memory": "1024"}}),
        ("ports: ['53:53/udp', '127.0.0.1:8001:80', {target: 9, published: '19', mode: host}]", C, "ports",
         [{"containerPort": 80, "hostPort": 8001, "hostIP": "127.0.0.1"}, {"containerPort": 9, "hostPort": 19},
          {"containerPort": 53, "protocol": "UDP", "hostPort": 53}]),
        ("tmpfs: [/run, '/tmp:size=64m']", P, "volumes",
         [{"name": "volume-1", "emptyDir": {"medium": "Memory"}},
          {"name": "volume-2", "emptyDir": {"medium": "Memory", "sizeLimit": "67108864"}}]),
        ("shm_size: 1gb", P, "volumes.0", {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1073741824"}}),
        ("volumes: [/cache, {type: tmpfs, target: /t, tmpfs: {size: 1k}}]", P, "volumes",
         [{"name": "volume-1", "emptyDir": {}},
          {"name": "volume-2", "emptyDir": {"medium": "Memory", "sizeLimit": "1024"}}]),
        ("stop_grace_period: 1m", P, "terminationGracePeriodSeconds", 60),
        ("tty: false", P, "terminationGracePeriodSeconds", 10),
        ("hostname: api", P, "hostname", "api"),
        ("group_add: [1000, '27']", P, "securityContext.supplementalGroups", [1000, 27]),
        ("sysctls: [net.ipv4.tcp_syncookies=1]", P, "securityContext.sysctls",
         [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]),
        ("extra_hosts: ['a:10.0.0.1', 'b=::1', 'c=10.0.0.1']", P, "hostAliases",
         [{"ip": "10.0.0.1", "hostnames": ["a", "c"]}, {"ip": "::1", "hostnames": ["b"]}]),
        ("extra_hosts: {a: 10.0.0.1}", P, "hostAliases", [{"ip": "10.0.0.1", "hostnames": ["a"]}]),
        ("platform: linux/arm64", P, "nodeSelector", {"kubernetes.io/arch": "arm64"}),
        ("deploy: {placement: {constraints: [node.labels.disk==ssd, node.hostname == a]}}", P, "nodeSelector",
         {"disk": "ssd", "kubernetes.io/hostname": "a"}),
        ("deploy: {placement: {constraints: [node.platform.arch != x86_64]}}", P,
         "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0.matchExpressions",
         [{"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["amd64"]}]),
        ("deploy: {placement: {preferences: [{spread: node.labels.zone}]}}", P,
         "topologySpreadConstraints.0.topologyKey", "zone"),
        ("deploy: {placement: {max_replicas_per_node: 1}}", P,
         "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.0.topologyKey",
         "kubernetes.io/hostname"),
        ("deploy: {replicas: 6}", D, "spec.replicas", 6),
        ("scale: 2", D, "spec.replicas", 2),
        ("deploy: {update_config: {order: start-first, parallelism: 2, delay: 10s}}", D, "spec.strategy",
         {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}),
        ("deploy: {update_config: {parallelism: 0, failure_action: pause}}", D, "spec.strategy.rollingUpdate",
         {"maxSurge": 0, "maxUnavailable": "100%"}),
        ("deploy: {update_config: {failure_action: pause}}", D, "metadata.annotations",
         {"pierhead.io/auto-rollback": "off"}),
        ("deploy: {update_config: {delay: 10s}}", D, "spec.minReadySeconds", 10),
        ("deploy: {labels: {a/b: c}}", D, "metadata.annotations", {"a/b": "c"}),
        ("labels: [a.b=Host(`x`)]\nannotations: {c: d}", D, "spec.template.metadata.annotations",
         {"a.b": "Host(`x`)", "c": "d"}),
    ],
)  # fmt: skip
def test_mapped(fields: str, where: str, path: str, value: Any) -> None:
    found = service(fields)
    assert not found.errors
    assert part(found, where, path) == value
    assert not found.read.errors, [str(error) for error in found.read.errors]


@pytest.mark.parametrize(
    ("fields", "where", "path"),
    [
        ("privileged: true", C, "securityContext.privileged"),
        ("security_opt: [seccomp=unconfined]", C, "securityContext.seccompProfile"), ("pid: host", P, "hostPID"),
        ("network_mode: host", P, "hostNetwork"), ("volumes: ['/srv:/data:ro']", P, "volumes.0.hostPath"),
    ],
)  # fmt: skip
def test_what_the_namespace_must_be_allowed(fields: str, where: str, path: str) -> None:
    found = service(fields)
    assert not found.errors
    assert part(found, where, path)
    (error,) = found.read.errors
    assert (error.file, error.line, error.object) == ("compose.yaml", 2, "Deployment shop/web")
    assert "not allowed in namespace shop [made from the Compose file]" in error.message


def ports(found: Converted, name: str) -> list[tuple[int, int, int | None]]:
    rows = found.objects[f"Service {name}"]["spec"]["ports"]
    return [(row["port"], row["targetPort"], row.get("nodePort")) for row in rows]


def test_ports_are_reached_inside_by_name_and_outside_by_number() -> None:
    found = service("ports: ['8080:80', 443:443, '30080:80', 9000, '3000-3001:4000-4001']\nexpose: [7000]")
    assert ports(found, "web") == [(one, one, None) for one in (80, 443, 9000, 4000, 4001, 7000)]
    assert ports(found, "web-published") == [
        (8080, 80, None), (443, 443, None), (3000, 4000, None), (3001, 4001, None)
    ]  # fmt: skip
    assert found.objects["Service web-published"]["spec"]["type"] == "LoadBalancer"
    assert ports(found, "web-node-port") == [(80, 80, 30080), (9000, 9000, None)]
    assert not found.read.errors


def test_ports_by_name_and_protocol() -> None:
    found = service("ports: [{name: api, target: 9090, published: '80', app_protocol: grpc}]")
    assert found.objects["Service web"]["spec"]["ports"] == [
        {"name": "api", "port": 9090, "targetPort": 9090, "appProtocol": "grpc"}
    ]
    assert not found.read.errors


def test_what_listens_on_nothing_has_no_service() -> None:
    assert list(service("").objects) == ["Deployment web"]


@pytest.mark.parametrize(
    ("database", "web", "port"),
    [
        ("expose: ['5433']", "depends_on: [db]", 5433),
        ("tty: true", "environment: {URL: 'postgres://db:6000/x'}", 6000),
        ("tty: true", "command: [wait-for, db:7000]", 7000),
        ("tty: true", "depends_on: [db]", 5432),
    ],
)
def test_a_service_is_reached_at_the_port_that_is_known_of_it(database: str, web: str, port: int) -> None:
    found = service(web, more=f"  db:\n    image: docker.io/library/postgres:16\n    {database}\n")
    assert not found.errors
    assert ports(found, "db") == [(port, port, None)]


def test_other_names_of_a_service_are_services_too() -> None:
    more = "  db: {image: postgres, container_name: pg, networks: {default: {aliases: [store]}}}\n"
    found = service("links: ['db:database']", more=more)
    assert not found.errors
    assert [name for name in found.objects if name.startswith("Service")] == [
        "Service db", "Service database", "Service pg", "Service store"
    ]  # fmt: skip
    assert not found.read.errors


def test_networks_that_separate_become_policies() -> None:
    text = (
        "services:\n  proxy: {image: a, networks: [front], ports: ['80:80']}\n"
        "  app: {image: a, networks: [front, back]}\n  db: {image: a, networks: [back]}\n"
        "networks: {front: {driver: bridge}, back: {}}\n"
    )
    found = converted(text)
    assert not found.errors
    assert not found.read.errors
    assert [name for name in found.objects if name.startswith("NetworkPolicy")] == [
        "NetworkPolicy network-back", "NetworkPolicy network-front", "NetworkPolicy proxy-published"
    ]  # fmt: skip
    rule = found.objects["NetworkPolicy network-back"]["spec"]
    who = {"matchLabels": {"compose-network-back": "true", "app.kubernetes.io/part-of": "shop"}}
    assert rule == {"podSelector": who, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": who}]}]}


def test_services_that_share_a_network_need_no_policy() -> None:
    text = "services:\n  a: {image: a, networks: [x, y]}\n  b: {image: b, networks: [y]}\nnetworks: {x: {}, y: {}}\n"
    assert not [name for name in converted(text).objects if name.startswith("NetworkPolicy")]


def test_configs_and_secrets() -> None:
    found = service(
        "configs: [nginx_conf, {source: extra, target: /etc/extra.conf, mode: 0440}]\n"
        "secrets: [token, {source: cert, target: tls.pem}]",
        {"conf/nginx.conf": "worker 1;", "token.txt": "hush", ".env": "CERT=pem\n"},
        "configs: {nginx_conf: {file: ./conf/nginx.conf}, extra: {content: 'a=$CERT'}, unused: {file: gone}}\n"
        "secrets: {token: {file: token.txt}, cert: {environment: CERT}}\n",
    )
    assert not found.errors
    assert not found.read.errors
    assert found.objects["ConfigMap nginx-conf"]["data"] == {"nginx_conf": "worker 1;"}
    assert found.objects["ConfigMap extra"]["data"] == {"extra": "a=pem"}
    assert found.objects["Secret token"]["data"] == {"token": "aHVzaA=="}
    assert [(one["mountPath"], one.get("subPath")) for one in found.container["volumeMounts"]] == [
        ("/nginx_conf", "nginx_conf"), ("/etc/extra.conf", "extra"), ("/run/secrets", None)
    ]  # fmt: skip
    sources = found.pod["volumes"][-1]["projected"]["sources"]
    assert [one["secret"]["items"][0]["path"] for one in sources] == ["token", "tls.pem"]


def test_files_of_the_repository_are_mounted_to_be_read() -> None:
    files: dict[str, str | bytes] = {"nginx.conf": "x", "site/a.html": "A", "site/b.png": b"\x89PNG"}
    found = service("volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro', './site:/www:ro']", files)
    assert not found.errors
    assert not found.read.errors
    assert found.objects["ConfigMap web-files-1"]["data"] == {"nginx.conf": "x"}
    assert found.objects["ConfigMap web-files-2"]["binaryData"] == {"b.png": "iVBORw=="}
    assert found.container["volumeMounts"][0]["subPath"] == "nginx.conf"


def test_env_files_become_a_secret_that_environment_overrides() -> None:
    found = service(
        "env_file: [a.env, {path: gone.env, required: false}, {path: raw.env, format: raw}]\nenvironment: {B: 3}",
        {"a.env": "A=1\nB=2 # two\n", "raw.env": "C='x' # y\n"},
    )
    assert not found.errors
    assert found.objects["Secret web-env"]["data"] == {"A": "MQ==", "B": "Mg==", "C": "J3gnICMgeQ=="}
    assert found.container["envFrom"] == [{"secretRef": {"name": "web-env"}}]
    assert found.container["env"] == [{"name": "B", "value": "3"}]


def test_the_model_of_the_specification() -> None:
    """A front end that is published, with a configuration and a certificate, and a back end that it alone reaches.

    Its `database` keeps data in a named volume, which is what of it is refused.
    """
    text = """\
services:
  frontend:
    image: example/webapp
    ports: ["443:8043"]
    networks: [front-tier, back-tier]
    configs: [httpd-config]
    secrets: [server-certificate]
  backend:
    image: example/database
    VOLUMES
    expose: ["5432"]
    networks: [back-tier]
networks: {front-tier: {}, back-tier: {}}
configs: {httpd-config: {file: httpd.conf}}
secrets: {server-certificate: {file: cert.pem}}
"""
    files: dict[str, str | bytes] = {"httpd.conf": "Listen 8043", "cert.pem": "-----BEGIN"}
    found = converted(text.replace("    VOLUMES\n", ""), files)
    assert not found.errors
    assert not found.read.errors
    assert list(found.objects) == [
        "ConfigMap httpd-config", "Secret server-certificate", "Deployment frontend", "Service frontend",
        "Service frontend-published", "Deployment backend", "Service backend",
    ]  # fmt: skip
    (error,) = converted(text.replace("VOLUMES", "volumes: [db-data:/etc/data]"), files).errors
    assert error.startswith("compose.yaml:10: services.backend.volumes[0]: the volume db-data is not mapped: volumes t")


def test_errors_in_what_was_made_are_told_at_the_service() -> None:
    found = service("hostname: UPPER")
    assert [(one.file, one.line, one.object) for one in found.read.errors] == [
        ("compose.yaml", 2, "Deployment shop/web")
    ]
