"""Every field of Compose that cannot be mapped: refused with file, line, field and what to do, or said as a warning."""

from __future__ import annotations

import re

import pytest

from deployer.core.compose import refused
from deployer.core.compose.convert import _HONOURED
from tests.core.compose.projects import converted, service

FIELDS = re.split(
    r"\s+",
    """\
annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count
cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy
develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends
external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging
mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider pull_policy
pull_refresh_after read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period
stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from
working_dir""",
)
"""Of a service, in Compose's own schema."""


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_service_is_honoured_or_told_of(field: str) -> None:
    known = (field in _HONOURED, field in refused.SERVICE, field in refused.WARNED)
    assert sum(known) == 1
    if field in refused.SERVICE:
        why, _, remedy = refused.SERVICE[field].rpartition(": ")
        told = f"is not mapped: {why} ({remedy})" if why else f"is not mapped ({remedy})"
        assert service(f"{field}: {{a: b}}").errors == [f"compose.yaml:4: services.web.{field}: {told}"]


@pytest.mark.parametrize("field", ["init: false", "devices: []", "logging:", "dns: []"])
def test_what_asks_for_nothing_is_not_refused(field: str) -> None:
    assert not service(field).errors


W = "compose.yaml:4: services.web."


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("colour: red", W + "colour: is not a field of a service that Pierhead knows (check its name)"),
        ("command: []", W + "command: an empty command, which takes away the image's own, is not mapped (write what is "
                        "to run, as entrypoint; or remove it, for what the image says)"),
        ("command: 'echo \"'", W + "command: has a quote without its end (close it, or write a list of words)"),
        ("user: nginx", W + "user: 'nginx' names a user (write the numbers, such as \"1000:1000\": names are known "
                        "inside the image alone)"),
        ("restart: on-failure", W + "restart: 'on-failure' is not mapped: pods are always restarted (write unless-st"),
        ("restart: 'no'", W + "restart: 'no' is not mapped: pods are always restarted (write unless-stopped; what runs "
                          "once and ends is not supported yet: run it from your pipeline)"),
        ("volumes: ['data:/var']", W + "volumes[0]: the volume data is not mapped: volumes that outlive their pod are "
                                   "not supported yet (use an anonymous volume or tmpfs for what may be lost, or a bi"),
        ("volumes: ['./a:/b']", W + "volumes[0]: ./a stands in the repository, where a pod cannot write (write "
                                "./a:/b:ro; or, for data, another volume)"),
        ("volumes: ['../../a:/b:ro']", W + "volumes[0]: ../../a leads out of the repository (keep it inside)"),
        ("volumes: ['./a:/b:ro']", W + "volumes[0]: ./a is not in the repository, or empty (push the files)"),
        ("volumes: ['~/a:/b']", W + "volumes[0]: ~/a is somebody's home (write the host's path, from / on)"),
        ("volumes: ['/a:/b:z']", W + "volumes[0]: z is not mapped (write SOURCE:/TARGET or SOURCE:/TARGET:ro)"),
        ("volumes: [{type: npipe, target: /b}]", W + "volumes[0]: volumes of type npipe are not mapped (use bind, v"),
        ("volumes: [{type: bind, source: /a, target: /b, bind: {propagation: shared}}]",
         W + "volumes[0].bind: is not mapped: the host's folder is mounted as it is (remove it)"),
        ("tmpfs: ['/t:mode=700']", W + "tmpfs[0]: the option mode of a tmpfs is not mapped (write size=... alone)"),
        ("ports: ['80:80/sctp:x']", W + "ports[0]: \"80:80/sctp:x\" is not a port (write \"80\", \"8080:80\" or "),
        ("ports: ['1-3:1-2']", W + "ports[0]: \"1-3:1-2\" has ranges of different lengths (give each port one of the "),
        ("ports: ['70000']", W + "ports[0]: \"70000\" is not a range of ports (write numbers from 1 to 65535, at most"),
        ("ports: [{published: '80'}]", W + "ports[0]: has no target (write target: PORT, the port of the container)"),
        ("expose: [53/udp]", W + "expose[0]: '53/udp' is not mapped (pods are connected by TCP: remove it)"),
        ("network_mode: none", W + "network_mode: 'none' is not mapped (write host, where the namespace is allowed ho"),
        ("pid: service:a", W + "pid: 'service:a' is not mapped (write host, or remove it)"),
        ("pull_policy: daily", W + "pull_policy: 'daily' is not mapped (write one of always, missing, if_not_present,"),
        ("platform: windows/amd64", W + "platform: 'windows/amd64' is not mapped (write linux/amd64 or linux/arm64)"),
        ("security_opt: [label:disable]", W + "security_opt[0]: 'label:disable' is not mapped (write no-new-privilege"),
        ("healthcheck: {interval: 500ms, test: a}", W + "healthcheck.interval: 500ms is not a whole number of seconds"),
        ("healthcheck: {interval: 1s}", W + "healthcheck: has no test (write test: [CMD, ...]; the image's own health"),
        ("healthcheck: {test: [curl]}", W + "healthcheck.test: begins with neither CMD, CMD-SHELL nor NONE (write [CM"),
        ("stop_grace_period: soon", W + 'stop_grace_period: "soon" is not a duration (write one such as 30s or 1m30s)'),
        ("mem_limit: lots", W + 'mem_limit: "lots" is not a size (write one such as 512m or 2g)'),
        ("cpus: many", W + 'cpus: "many" is not a number of CPUs (write one such as 0.5 or 2)'),
        ("scale: -1", W + 'scale: "-1" is not a whole number from 0 to 10000 (write one)'),
        ("scale: 2\ndeploy: {replicas: 3}", W + "scale: says 2, and deploy says 3 (keep one of the two)"),
        ("deploy: {mode: global}", W + "deploy.mode: 'global' is not mapped (one pod on every host is not supported y"),
        ("deploy: {mode: replicated-job}", W + "deploy.mode: 'replicated-job' is not mapped (what runs once and ends "),
        ("deploy: {endpoint_mode: dnsrr}", W + "deploy.endpoint_mode: is not mapped: a Service has an address of its "),
        ("deploy: {rollback_config: {order: a}}", W + "deploy.rollback_config: is not mapped: a rollout that breaks g"),
        ("deploy: {update_config: {monitor: 5s}}", W + "deploy.update_config.monitor: is not mapped: pods are watched"),
        ("deploy: {update_config: {failure_action: continue}}",
         W + "deploy.update_config.failure_action: 'continue' is not mapped (write rollback or pause: a rollout that "),
        ("deploy: {restart_policy: {condition: on-failure}}",
         W + "deploy.restart_policy.condition: 'on-failure' is not mapped: pods are always restarted (write any; what"),
        ("deploy: {restart_policy: {max_attempts: 3}}", W + "deploy.restart_policy.max_attempts: is not mapped: a pod"),
        ("deploy: {resources: {limits: {pids: 1}}}", W + "deploy.resources.limits.pids: is not mapped: processes are "),
        ("deploy: {resources: {reservations: {devices: [{}]}}}", W + "deploy.resources.reservations.devices: is not m"),
        ("deploy: {placement: {constraints: [node.role==manager]}}",
         W + "deploy.placement.constraints[0]: 'node.role==manager' is not mapped (write node.labels.KEY==VALUE or "),
        ("deploy: {placement: {max_replicas_per_node: 2}}",
         W + "deploy.placement.max_replicas_per_node: 2 is not mapped (write 1, or spread)"),
        ("configs: [gone]", W + "configs[0]: there is no config 'gone' (configs at the end: none)"),
        ("secrets: [{source: a, uid: '1'}]", W + "secrets[0].uid: is not mapped: files belong to the user of the cont"),
        ("networks: [gone]", W + "networks[0]: there is no network gone (networks at the end: none)"),
        ("networks: {default: {ipv4_address: 10.0.0.1}}",
         W + "networks.default.ipv4_address: is not mapped: Pierhead gives addresses (remove it)"),
        ("depends_on: [gone]", W + "depends_on[0]: there is no service gone that runs (correct the name, or choose it"),
        ("links: [gone]", W + "links[0]: there is no service gone that runs (correct the name, or choose its profile)"),
        ("extra_hosts: ['a:host-gateway']", W + "extra_hosts[0]: 'host-gateway' is no address (write an IP address)"),
        ("environment: {A: [1]}", W + "environment.A: the value of A must be text (write one value)"),
        ("environment: {'A B': 1}", W + 'environment["A B"]: \'A B\' is not a name of a variable (write letters, '),
        ("env_file: gone.env", W + "env_file: gone.env is not in the repository (correct the path, or push the file)"),
        ("post_start: [{command: a, user: root}]", W + "post_start[0].user: is not mapped: it runs as the container d"),
        ("pre_stop: [{command: a}, {command: b}]", W + "pre_stop: must be one command (write one script that does all"),
        ("extends: {service: gone}", W + "extends.service: there is no service gone in compose.yaml (services there: "),
        ("extends: {service: web}", W + "extends: extends itself, by way of web (end the circle)"),
        ("extends: {service: a, file: ../../b.yaml}", W + "extends: ../../b.yaml leads out of the repository (keep it"),
        ("tty: maybe", W + "tty: must be true or false (write one of them)"),
        ("working_dir: [a]", W + "working_dir: must be text (write one value)"),
        ("labels: {a: {b: c}}", W + "labels.a: the value of a must be text (write one value)"),
    ],
)  # fmt: skip
def test_refused(fields: str, sentence: str) -> None:
    errors = service(fields).errors
    assert any(error.startswith(sentence) for error in errors), errors
    assert len(errors) <= 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("services: {a: {build: .}}", "compose.yaml:1: services.a.build: images are not built here (build it in your "
         "pipeline, push it to a registry, and write image: REGISTRY/NAME:TAG)"),
        ("services: {a: {}}", "compose.yaml:1: services.a: service a has no image (write image: NAME:TAG)"),
        ("services: {a: nginx}", "compose.yaml:1: services.a: service a must be a map of fields (write image: NAME:TA"),
        ("services: {my_db: {image: a}}", "compose.yaml:1: services.my_db: 'my_db' is not a name by which a Service "
         "can be found (name it my-db, and change those who use the name)"),
        ("services: {}", "compose.yaml:1: has no services (write services:)"),
        ("name: a", "compose.yaml:1: has no services (write services:)"),
        ("service: {}\nservices: {a: {image: a}}", "compose.yaml:1: service: is not a field of a Compose file that"),
        ("include: [a.yaml]\nservices: {a: {image: a}}", "compose.yaml:1: include: is not mapped (write the services "
         "into this file, or take them over with extends)"),
        ("services: {a: {image: a}}\nnetworks: {b: {external: true}}", "compose.yaml:2: networks.b.external: is not "
         "mapped: services in other namespaces are found by NAME.NAMESPACE (remove it)"),
        ("services: {a: {image: a}}\nnetworks: {b: {driver: macvlan}}", "compose.yaml:2: networks.b.driver: 'macvlan'"),
        ("services: {a: {image: a, secrets: [b]}}\nsecrets: {b: {external: true}}", "compose.yaml:2: secrets.b.external"
         ": is not mapped: its content must stand in the repository (write file, or environment)"),
        ("services: {a: {image: a, secrets: [b]}}\nsecrets: {b: {file: gone}}", "compose.yaml:2: secrets.b.file: gone "
         "is not in the repository (correct the path, or push the file)"),
        ("services: {a: {image: a, configs: [b_c, b-c]}}\nconfigs: {b_c: {content: a}, b-c: {content: a}}",
         "compose.yaml:2: configs[\"b-c\"]: b-c and b_c would both be the ConfigMap b-c (rename one of them)"),
        ("services: {a: {image: a, depends_on: [b]}, b: {image: b}}", "compose.yaml:1: services.a.depends_on[0]: b is "
         "needed here, and nobody says at which port (write expose: [\"PORT\"] at b; or remove it here, when nobody "),
        ("services: {a: {image: a, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: b}}",
         "compose.yaml:1: services.a.depends_on.b.condition: 'service_completed_successfully' is not mapped (what "),
        ("- a", "compose.yaml: is not one map with services: (write services:, as in Compose's documentation)"),
        ("", "compose.yaml: is empty (write services:, as in Compose's documentation)"),
        ("a: [", "compose.yaml:2: is not valid YAML"),
        ("a: 1\na: 2", "compose.yaml:2: the key a stands twice in one map (keep one of the two)"),
        ("services: {a: {image: !reset null}}", "compose.yaml:1: the tag !reset is refused here (remove the tag)"),
    ],
)  # fmt: skip
def test_files_that_are_refused(text: str, sentence: str) -> None:
    errors = converted(text).errors
    assert any(error.startswith(sentence) for error in errors), errors


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("version: '3'\nservices: {a: {image: a}}", "compose.yaml:1: version: means nothing any more"),
        ("name: x\nservices: {a: {image: a}}", "compose.yaml:1: name: names nothing here but the variable COMPOSE_PRO"),
        ("services: {a: {image: a, build: .}}", "compose.yaml:1: services.a.build: is not done here: a must be in a r"),
        ("services: {a: {image: a, container_name: b}}", "compose.yaml:1: services.a.container_name: containers are n"),
        ("services: {a: {image: a, depends_on: [b]}, b: {image: b, expose: [1]}}",
         "compose.yaml:1: services.a.depends_on: the order is not kept: all start at once"),
        ("services: {a: {image: a, depends_on: [b]}, b: {image: 'redis:7'}}",
         "compose.yaml:1: services.b.image: b is reached at port 6379, on which redis listens (write expose: [\"PORT"),
        ("services: {a: {image: a}, b: {image: b, profiles: [debug]}}",
         "compose.yaml:1: services.b.profiles: service b does not run: none of its profiles (debug) is chosen"),
        ("services: {a: {image: a}}\nvolumes: {b: {}}", "compose.yaml:2: volumes.b: the volume b is not made"),
        ("services: {a: {image: a, develop: {watch: []}}}", "compose.yaml:1: services.a.develop: is for development"),
        ("services: {a: {image: a, environment: [B]}}", "compose.yaml:1: services.a.environment[0]: B has no value an"),
        ("services: {a: {image: a, healthcheck: {test: b, start_interval: 1s}}}",
         "compose.yaml:1: services.a.healthcheck.start_interval: is not mapped: probes are made every interval"),
    ],
)  # fmt: skip
def test_what_changes_nothing_of_what_runs_is_said(text: str, sentence: str) -> None:
    found = converted(text)
    assert not found.errors
    assert any(one.startswith(sentence) for one in found.warnings), found.warnings
