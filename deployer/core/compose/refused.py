"""What of Compose cannot be mapped: field -> why, and what to write instead. What is in no table is refused as well.

`SERVICE` and the others say what is refused; `WARNED` what changes nothing of what runs, and is said all the same.
"""

from __future__ import annotations

_HOST = "the hosts' engines decide that: remove it"
_LIMIT = "it is not limited here: remove it, and limit CPU and memory with deploy.resources"
_DNS = "pods use their host's resolver: remove it; fixed names go into extra_hosts"
_CPU = "CPU is given by deploy.resources: write limits.cpus and reservations.cpus there"
_BLOCK = "disks are not limited here: remove it"
_NAMESPACE = "namespaces of a container are not chosen here: remove it"

SERVICE: dict[str, str] = {
    "blkio_config": _BLOCK,
    "cgroup": _NAMESPACE,
    "cgroup_parent": _HOST,
    "cpu_count": _CPU,
    "cpu_percent": _CPU,
    "cpu_shares": _CPU,
    "cpu_quota": _CPU,
    "cpu_period": _CPU,
    "cpu_rt_period": _CPU,
    "cpu_rt_runtime": _CPU,
    "cpuset": _CPU,
    "credential_spec": "hosts run Linux: remove it",
    "device_cgroup_rules": "devices are not given to pods yet: remove it",
    "devices": "devices are not given to pods yet: remove it",
    "dns": _DNS,
    "dns_opt": _DNS,
    "dns_search": _DNS,
    "domainname": "pods have no domain: remove it",
    "external_links": "services of another project are found by NAME.NAMESPACE: use that name, and remove this",
    "gpus": "devices are not given to pods yet: remove it",
    "init": "no init process is added: put tini or dumb-init into the image",
    "ipc": _NAMESPACE,
    "isolation": "hosts run Linux: remove it",
    "label_file": "write the labels into labels",
    "logging": "logs stay with the hosts' engines, whose log driver holds: remove it",
    "mac_address": "the engine chooses it: remove it",
    "mem_swappiness": _LIMIT,
    "memswap_limit": _LIMIT,
    "models": "models are not run here: remove it",
    "oom_kill_disable": _LIMIT,
    "oom_score_adj": _LIMIT,
    "pids_limit": _LIMIT,
    "provider": "only containers are run: write image",
    "pull_refresh_after": "write pull_policy: always, or missing",
    "runtime": "containers run with the host's default runtime: remove it",
    "stop_signal": "containers get the image's STOPSIGNAL: set it in the Dockerfile",
    "storage_opt": _BLOCK,
    "ulimits": "the engine's own limits hold: set default-ulimits on the hosts, and remove it",
    "use_api_socket": "containers get no access to an engine: remove it",
    "userns_mode": _NAMESPACE,
    "uts": _NAMESPACE,
    "volumes_from": "name the volumes in each service",
}

WARNED: dict[str, str] = {
    "attach": "is about a terminal that `docker compose up` runs in, and means nothing here",
    "develop": "is for development, and means nothing here",
}

DEPLOY: dict[str, str] = {
    "endpoint_mode": "a Service has an address of its own: remove it",
    "rollback_config": "a rollout that breaks goes back by itself: remove it",
}

UPDATE: dict[str, str] = {
    "monitor": "pods are watched by their health check until the rollout is done: remove it",
    "max_failure_ratio": "one pod that does not become ready stops the rollout: remove it",
}

RESTART_POLICY: dict[str, str] = {
    "delay": "a pod that crashes is restarted with a growing delay: remove it",
    "max_attempts": "a pod that crashes is restarted for ever, with a growing delay: remove it",
    "window": "a pod that crashes is restarted with a growing delay: remove it",
}

TOP: dict[str, str] = {
    "include": "write the services into this file, or take them over with extends",
    "models": "models are not run here: remove it",
}

NETWORK: dict[str, str] = {
    "driver_opts": "the network of a namespace is made by Pierhead: remove it",
    "ipam": "Pierhead gives addresses: remove it",
    "external": "services in other namespaces are found by NAME.NAMESPACE: remove it",
    "internal": "what goes out is not restricted here: remove it, and use your firewall",
    "attachable": "only pods are on the network: remove it",
    "enable_ipv4": "pods have IPv4 addresses: remove it",
    "enable_ipv6": "pods have IPv4 addresses: remove it",
    "labels": "nothing is made for a network that could have labels: remove it",
}

SERVICE_NETWORK: dict[str, str] = {
    "ipv4_address": "Pierhead gives addresses: remove it",
    "ipv6_address": "Pierhead gives addresses: remove it",
    "link_local_ips": "Pierhead gives addresses: remove it",
    "mac_address": "the engine chooses it: remove it",
    "driver_opts": "the network of a namespace is made by Pierhead: remove it",
    "interface_name": "the engine chooses it: remove it",
    "gw_priority": "a pod has one network: remove it",
    "priority": "a pod has one network: remove it",
}

NO_VOLUME = (
    "volumes that outlive their pod are not supported yet: use an anonymous volume or tmpfs for what may be lost, or a "
    "bind mount of a host's folder where the namespace is allowed host-path"
)

LISTENS_ON = {
    "postgres": 5432, "postgis": 5432, "mysql": 3306, "mariadb": 3306, "percona": 3306, "mongo": 27017, "redis": 6379,
    "valkey": 6379, "memcached": 11211, "rabbitmq": 5672, "nats": 4222, "nginx": 80, "httpd": 80, "traefik": 80,
    "caddy": 80, "elasticsearch": 9200, "opensearch": 9200, "influxdb": 8086, "cassandra": 9042, "couchdb": 5984,
    "zookeeper": 2181, "neo4j": 7687, "registry": 5000, "minio": 9000, "grafana": 3000, "prometheus": 9090,
    "adminer": 8080, "wordpress": 80, "phpmyadmin": 80, "vault": 8200, "consul": 8500, "etcd": 2379,
}  # fmt: skip
"""Last part of a well-known image's name -> the port that it listens on."""
