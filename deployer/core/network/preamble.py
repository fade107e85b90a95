"""What stands above the services in haproxy.cfg: the process, its socket, and the defaults that others name.

No logging is configured: HAProxy writes servers that come and go, and refused configurations, to its own output.
"""

from __future__ import annotations

from deployer.core.network import latency
from deployer.core.network.sections import Section

RUN_FOLDER = "/pierhead-run"
"""A folder of the router's container alone; sockets live here."""
ADMIN_SOCKET = f"{RUN_FOLDER}/admin.sock"
RESOLVER = "127.0.0.1:53"
"""The dnsmasq beside the router: it knows the cluster's names and asks the host for all others."""
PEERS = "local"
PEER = "127.0.0.1:8442"
"""Where a process hands over to the next one: loopback of the router's own network."""

OPEN_FILES = 65_536
"""Half as many connections: HAProxy works out its `maxconn` from it, or from the engine's own limit if that is less."""

DEFAULTS_TCP, DEFAULTS_HTTP, DEFAULTS_HTTP_BACKEND = "tcp", "http", "http-backend"


def process(structure: str, socket: str = ADMIN_SOCKET) -> Section:
    """`structure` can be asked for at run time: `get var proc.structure`.

    What a reload leaves behind serves its open connections for up to six hours, and for 25 more reloads.
    """
    return Section(
        "global",
        (
            f"stats socket {socket} mode 600 level admin expose-fd listeners",
            "stats timeout 2m",
            "localpeer router",
            f"fd-hard-limit {OPEN_FILES}",
            "hard-stop-after 6h",
            "mworker-max-reloads 25",
            "ssl-default-bind-options ssl-min-ver TLSv1.2",
            "ssl-default-server-options ssl-min-ver TLSv1.2",
            f"set-var proc.structure str({structure})",
        ),
    )


def peers() -> Section:
    """A process that was reloaded hands its session affinities over to the next one, unless it is younger than 5 s."""
    return Section(f"peers {PEERS}", (f"peer router {PEER}",))


def resolvers() -> Section:
    """For the targets of ExternalName."""
    return Section("resolvers host", (f"nameserver dnsmasq {RESOLVER}", "accepted_payload_size 4096", "hold valid 10s"))


def tcp() -> Section:
    """Idle connections live for a day, as in Kubernetes; keep-alives of the kernel find those whose end is gone."""
    return Section(
        f"defaults {DEFAULTS_TCP}",
        (
            "mode tcp",
            "timeout connect 1s",
            "timeout client 24h",
            "timeout server 24h",
            "option clitcpka",
            "option srvtcpka",
            "option redispatch 1",
            "retries 3",
            "balance random(2)",
        ),
    )


def http() -> Section:
    """`idle-close-on-response`: an idle client is told of a reload with its next answer, not by a closed connection."""
    return Section(
        f"defaults {DEFAULTS_HTTP} from {DEFAULTS_TCP}",
        (
            "mode http",
            "timeout client 1h",
            "timeout server 1h",
            "timeout http-request 30s",
            "timeout http-keep-alive 10m",
            "timeout tunnel 24h",
            "option idle-close-on-response",
        ),
    )


def http_backend() -> Section:
    """A request that may have been acted on is not sent twice, unless its method says that twice is once."""
    return Section(
        f"defaults {DEFAULTS_HTTP_BACKEND} from {DEFAULTS_HTTP}",
        (
            "retry-on conn-failure empty-response response-timeout",
            "http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
            *latency.rules(),
        ),
    )
