"""What to tell a running HAProxy, so that its servers and maps become those of a configuration of the same structure.

    show servers state, show stat -> Live -> moves(config, live) -> commands -> look again, until there are none

Level-triggered: it may stop after any command, and the next look carries on. Facts of HAProxy 2.6 it rests on:
- a server that is added is in maintenance and unchecked; `enable health` goes first, so that it is up when enabled;
- `drain` and `maint` start the clock `srv_time_since_last_change`, and a second `drain` does not start it again;
- `maint` ends a server's streams when it says `on-marked-down shutdown-sessions`, so streams have to end before;
- `del server` is refused outside of maintenance, and while connections are being closed, which takes a moment;
- of a server's words only address, port and weight can be read back. `agent-addr` can too, and means nothing without
  `agent-check`: it carries a digest of all words (`marked`), so that a server tells what it was made from.

No command is made of anything that could end it: words are escaped, and what has a line break is no word.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from deployer.core.network.commands import command_word
from deployer.core.network.server_names import BACKUP, pod_key
from deployer.core.network.values import RouterConfig, Server

HTTP_DRAIN_SECONDS = 5
TCP_DRAIN_SECONDS = 3600
"""How long a server's streams may take to end. A pod's end waits for those of http; connections of unknown content may
last for ever, so they are left open for as long as the pod lives, and nobody waits for them."""
LOOK_AGAIN_SECONDS, LINGER_SECONDS = 1.0, 5.0
STAND_IN = "_next"
"""Ends the name of a server that stands in for one that is made anew. No pod's name can have it."""
PROBES, PEERS = "probe.", "probe.peers"
"""Backends that nothing is sent to: their servers come and go at once. The latter's are other nodes (`peers.py`)."""
_MAINT, _DRAIN = 0x27, 0x18
_MARK, _WEIGHT = "agent-addr", "weight"


@dataclass(frozen=True, slots=True)
class StatRow:
    """A row of `show stat`. `type`: 0 frontend, 1 backend, 2 server, 3 listener. Counters are since the last reload.

    `check_status` such as L7OK, "* L7OK" while a check is under way (`check_code` and `last_chk` are then not to be
    relied on), INI before the first, "" without checks. `chkfail` counts failed checks while the server is up,
    `lastchg` is in seconds.
    """

    proxy: str
    server: str
    status: str = ""
    qcur: int = 0
    scur: int = 0
    stot: int = 0
    hrsp_1xx: int = 0
    hrsp_2xx: int = 0
    hrsp_3xx: int = 0
    hrsp_4xx: int = 0
    hrsp_5xx: int = 0
    econ: int = 0
    eresp: int = 0
    req_tot: int = 0
    check_status: str = ""
    check_code: int = 0
    chkfail: int = 0
    chkdown: int = 0
    lastchg: int = 0
    last_chk: str = ""
    weight: int = 0
    type: int = 2
    mode: str = ""


_WORDS = ("status", "check_status", "last_chk", "mode")
_NUMBERS = tuple(one.name for one in fields(StatRow) if one.name not in ("proxy", "server", *_WORDS))


@dataclass(frozen=True, slots=True)
class LiveServer:
    """A server as it runs. `admin` is HAProxy's mask, `changed_seconds` since its last change, `mark` its digest."""

    backend: str
    name: str
    address: str
    admin: int = 0
    weight: int = 1
    changed_seconds: int = 0
    mark: str = ""

    @property
    def is_open(self) -> bool:
        """It takes new connections, as far as people and we decide that (not: whether its check passes)."""
        return not self.admin & (_MAINT | _DRAIN)

    @property
    def in_maintenance(self) -> bool:
        return bool(self.admin & _MAINT)


@dataclass(frozen=True, slots=True)
class Live:
    """What a look at a running HAProxy found: backend -> server name -> server, and the rows of its statistics.

    `pods`: uid -> key of the pods that are asked about in `Moves.left`.
    """

    servers: Mapping[str, Mapping[str, LiveServer]]
    stats: tuple[StatRow, ...]
    now: float
    pods: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moves:
    """`commands` in this order; look again once they are sent, and at `wake_at` (None: all is as it should be).

    `waiting`: "backend/server" whose http streams still end; `lingering`: those with open tcp connections.
    `left`: uids out of `Live.pods` that no server open to new connections led to *when looked at*, before these
    commands.
    """

    commands: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    lingering: tuple[str, ...] = ()
    wake_at: float | None = None
    left: frozenset[str] = frozenset()


def moves(config: RouterConfig, live: Live) -> Moves:
    """Everything new is opened before anything old is closed. Backends that are not in `config.servers` are let be."""
    opening: list[str] = []
    closing: list[str] = []
    waiting: list[str] = []
    lingering: list[str] = []
    rows = {(row.proxy, row.server): row for row in live.stats}
    for backend, desired in sorted(config.servers.items()):
        observed = live.servers.get(backend, {})
        opened, leaving = _opened(backend, desired, observed)
        opening += opened
        for server in leaving:
            row = rows.get((backend, server.name))
            steps, stays = _closed(server, row)
            closing += steps
            if stays:
                (lingering if _is_tcp(row) else waiting).append(f"{backend}/{server.name}")
    commands = (*opening, *closing)
    pause = LOOK_AGAIN_SECONDS if commands or waiting else LINGER_SECONDS
    wake_at = live.now + pause if commands or waiting or lingering else None
    return Moves(commands, tuple(waiting), tuple(lingering), wake_at, _left(live))


def marked(server: Server) -> Server:
    """The same server, with a digest of its words (all but the weight, which can be changed) among its arguments."""
    arguments = _without(_without(server.arguments, _MARK), _WEIGHT)
    digest = hashlib.sha256("\0".join((server.address, *arguments)).encode()).digest()
    mark = ".".join(map(str, (1 + digest[0] % 223, *digest[1:4])))
    return replace(server, arguments=(*_without(server.arguments, _MARK), _MARK, mark))


def read_stats(csv_text: str) -> list[StatRow]:
    """What `show stat` prints; "" for a number means 0."""
    rows = csv.DictReader(io.StringIO(csv_text.removeprefix("# ").strip()))
    return [_stat_row({key: value or "" for key, value in row.items()}) for row in rows]


def read_cells(csv_text: str, beginning: str, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The columns `names` of the servers whose lines begin so (a proxy's name). Cheap: other lines are not split."""
    head, _, body = csv_text.partition("\n")
    columns = head.removeprefix("# ").rstrip().rstrip(",").split(",")
    if not {*names} <= {*columns}:
        return
    places = [columns.index(name) for name in names]
    whole = columns.index("svname")
    for line in body.split("\n"):
        if line.startswith(beginning):
            row = line.split(",")
            if row[whole] != "BACKEND" and len(row) > max(places):
                yield tuple(row[place] for place in places)


def _stat_row(row: Mapping[str, str]) -> StatRow:
    words = {name: row.get(name, "") for name in _WORDS}
    numbers = {name: int(row.get(name) or 0) for name in _NUMBERS}
    return StatRow(proxy=row["pxname"], server=row["svname"], **words, **numbers)  # type: ignore[arg-type]


def read_servers(text: str) -> dict[str, dict[str, LiveServer]]:
    """What `show servers state` prints (version 1). A backend without servers is not in it."""
    found: dict[str, dict[str, LiveServer]] = {}
    names: list[str] = []
    for line in text.split("\n"):
        if line.startswith("# "):
            names = line[2:].split()
        elif names and len(words := line.split()) >= len(names):
            one = _live_server(dict(zip(names, words, strict=False)))
            found.setdefault(one.backend, {})[one.name] = one
    return found


def _live_server(row: Mapping[str, str]) -> LiveServer:
    host = row["srv_fqdn"] if row["srv_fqdn"] != "-" else row["srv_addr"]
    host = f"[{host}]" if ":" in host else host
    return LiveServer(
        backend=row["be_name"],
        name=row["srv_name"],
        address=f"{host}:{row['srv_port']}",
        admin=int(row["srv_admin_state"]),
        weight=int(row["srv_uweight"]),
        changed_seconds=int(row["srv_time_since_last_change"]),
        mark=row["srv_agent_addr"] if row["srv_agent_addr"] != "-" else "",
    )


def _opened(
    backend: str, desired: Iterable[Server], observed: Mapping[str, LiveServer]
) -> tuple[list[str], list[LiveServer]]:
    """The commands after which all that is new serves, and the servers that are to leave."""
    wanted = {server.name: server for server in sorted(desired, key=lambda one: one.name)}
    missing = [server for name, server in wanted.items() if name not in observed]
    changed = [server for name, server in wanted.items() if name in observed and _differs(server, observed[name])]
    others = wanted.keys() - {server.name for server in (*missing, *changed)}
    serving = [server for server in changed if not _is_reserve(server.name)]
    commands = [command for server in missing for command in _add(backend, server)]
    commands += [command for name in sorted(others) for command in _keep(backend, wanted[name], observed[name])]
    leaving = {server.name for server in changed} | {name for name in observed.keys() - wanted.keys() if _is_pods(name)}
    stays = any(not _is_reserve(name) for name in (*(server.name for server in missing), *others))
    if serving and not stays and not backend.startswith(PROBES):
        stand_in = replace(serving[0], name=serving[0].name + STAND_IN, arguments=_unchecked(serving[0].arguments))
        commands += _stand_in(backend, stand_in, observed.get(stand_in.name))
        leaving -= {stand_in.name}
    return commands, [observed[name] for name in sorted(leaving)]


def _is_pods(name: str) -> bool:
    """A pod's key has a dot. What has none (the target of an ExternalName) is a line of the text, and stays."""
    return "." in name


def _is_reserve(name: str) -> bool:
    return name.endswith(BACKUP)


def _stand_in(backend: str, server: Server, observed: LiveServer | None) -> list[str]:
    return _add(backend, server) if observed is None else _keep(backend, server, observed)


def _unchecked(arguments: Iterable[str]) -> tuple[str, ...]:
    """Its check may look up the server's name, and would not find it."""
    return tuple(word for word in arguments if word not in ("check", "check-ssl"))


def _differs(desired: Server, observed: LiveServer) -> bool:
    mark = word_after(desired.arguments, _MARK)
    return desired.address != observed.address or (mark is not None and mark != observed.mark)


def _add(backend: str, server: Server) -> list[str]:
    where = f"{command_word(backend)}/{command_word(server.name)}"
    words = " ".join(map(command_word, (server.address, *server.arguments)))
    health = [f"enable health {where}"] if server.is_checked else []
    return [f"add server {where} {words}", *health, f"enable server {where}"]


def _keep(backend: str, desired: Server, observed: LiveServer) -> list[str]:
    """A server that stays: opened again if it was closed, by hand or because it was to leave a moment ago."""
    where = f"{command_word(backend)}/{command_word(desired.name)}"
    weight = int(word_after(desired.arguments, _WEIGHT) or 1)
    commands = [] if weight == observed.weight else [f"set server {where} weight {weight}"]
    if not observed.is_open:
        commands += [f"enable health {where}"] if desired.is_checked else []
        commands += [f"set server {where} state ready"]
    return commands


def _closed(server: LiveServer, row: StatRow | None) -> tuple[list[str], bool]:
    """One step of leaving, and whether it stays for now because streams have to end."""
    where = f"{command_word(server.backend)}/{command_word(server.name)}"
    gone = [f"set server {where} state maint", f"del server {where}"]
    if server.in_maintenance:
        return gone[1:], False
    patience = _patience_seconds(server.backend, row)
    if not patience:
        return gone, False
    if server.is_open:
        return [f"set server {where} state drain"], True
    is_idle = row is not None and not row.scur and not row.qcur
    if is_idle or server.changed_seconds >= patience:
        return gone, False
    return [], True


def _patience_seconds(backend: str, row: StatRow | None) -> int:
    if backend.startswith(PROBES):
        return 0
    return TCP_DRAIN_SECONDS if _is_tcp(row) else HTTP_DRAIN_SECONDS


def _is_tcp(row: StatRow | None) -> bool:
    return row is not None and row.mode == "tcp"


def _left(live: Live) -> frozenset[str]:
    led_to = {
        pod_key(server.name)
        for backend, servers in live.servers.items()
        if not backend.startswith(PROBES)
        for server in servers.values()
        if server.is_open
    }
    return frozenset(uid for uid, key in live.pods.items() if key not in led_to)


def word_after(arguments: Sequence[str], keyword: str) -> str | None:
    """The word that follows `keyword` among a server's, None without it."""
    return next((value for word, value in itertools.pairwise(arguments) if word == keyword), None)


def _without(arguments: tuple[str, ...], keyword: str) -> tuple[str, ...]:
    if keyword not in arguments:
        return arguments
    at = next((place for place, word in enumerate(arguments) if word == keyword), len(arguments))
    return (*arguments[:at], *arguments[at + 2 :])
