"""`manage.py node add|list|label|taint|cordon|uncordon|drain|declare-dead|remove`: the Docker hosts."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from django.db import transaction

from control.management.commands.get import kind_table
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor, verbs
from control.management.following import Patience, Told
from control.management.output import duration, size
from control.models import Node, Pod
from control.selectors import draining, evictions
from control.selectors.kinds import BY_NAME
from control.selectors.objects import find, get
from control.services.node_marks import label_change, taint_change
from control.services.refusal import Refused

LONGEST_FILE_BYTES = 1 << 20
TLS_FILES = ("ca", "cert", "key")
TAINTS = (
    "Set taints, or remove them: gpu=yes:NoSchedule gpu:NoSchedule-. Effects: NoSchedule (no new pods that do not "
    "tolerate it), PreferNoSchedule (only where there is no other room), NoExecute (nor those that run there: they are "
    "evicted, at once, or when their tolerationSeconds have passed). Who is evicted leaves the routers and is stopped "
    "gracefully; PodDisruptionBudgets are not asked, and replacements are not waited for: to have both, use `node "
    "drain`. Pods of Deployments are replaced elsewhere, bare ones are made again elsewhere."
)
T = TypeVar("T")


class Command(PierheadCommand):
    help = "Docker hosts: add, list, label, taint, cordon, uncordon, drain, declare-dead, remove."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "add", "list", "label", "taint", "cordon", "uncordon", "drain", "declare-dead", "remove")
        _add_arguments(make.add_parser("add", help="register a Docker host"))
        make.add_parser("list", help="all hosts").add_argument("-o", "--output", choices=("wide",))
        label = make.add_parser("label", help="set labels, or remove them: zone=a disk-")
        label.add_argument("name", metavar="NAME")
        label.add_argument("changes", nargs="+", type=pair, metavar="K=V|K-")
        setting = "set taints, or remove them: gpu=yes:NoSchedule gpu:NoSchedule-; NoExecute also evicts"
        taint = make.add_parser("taint", help=setting, description=TAINTS)
        taint.add_argument("name", metavar="NAME")
        taint.add_argument("changes", nargs="+", type=tainting, metavar="K=V:EFFECT|K:EFFECT-|K-")
        make.add_parser("cordon", help="no new pods on it").add_argument("name", metavar="NAME")
        make.add_parser("uncordon", help="new pods on it again").add_argument("name", metavar="NAME")
        drain = make.add_parser("drain", help="cordon it, and move its pods elsewhere")
        drain.add_argument("name", metavar="NAME")
        drain.add_argument("--timeout", type=duration, default=300.0, help="how long to wait (300s; 0: for ever)")
        drain.add_argument(
            "--disable-eviction", action="store_true", help="do not ask PodDisruptionBudgets, and stop before replacing"
        )
        dead = make.add_parser("declare-dead", help="replace all pods of a host that is gone")
        dead.add_argument("name", metavar="NAME")
        remove = make.add_parser("remove", help="take it off the record; its containers are left as they are")
        remove.add_argument("name", metavar="NAME")
        remove.add_argument("--force", action="store_true", help="also with pods on it, which run elsewhere then")

    def handle(self, **options: Any) -> None:
        getattr(self, f"_{options['verb'].replace('-', '_')}")(options)

    def _add(self, options: dict[str, Any]) -> None:
        from control.services import nodes
        from deployer.adapters.docker_address import EngineAddress

        address = EngineAddress(url=options["address"], **secrets(options))
        labels = dict(options["label"] or ())
        row = nodes.register(options["name"], address, actor(), labels, mesh_address=options["mesh_address"] or "")
        engine = "a simulated engine" if row.is_simulated else f"Docker {row.engine_version}"
        pods = Pod.objects.filter(node=row).count()
        adopted = f"; {pods} running pods adopted" if pods else ""
        self.stdout.write(
            f"node/{row.name} added: {engine}, {row.cpu_millicores // 1000} CPUs, {size(row.memory_bytes)}{adopted}"
        )

    def _list(self, options: dict[str, Any]) -> None:
        kind = BY_NAME["Node"]
        rows = find(kind)
        if not rows:
            self.stderr.write("No nodes; add one: node add NAME unix:///var/run/docker.sock")
            return
        self.stdout.write(kind_table(kind, rows, "", wide=options["output"] == "wide"), ending="")

    def _label(self, options: dict[str, Any]) -> None:
        from control.services import nodes

        nodes.label(options["name"], dict(options["changes"]), actor())
        self.stdout.write(f"node/{options['name']} labelled")

    def _taint(self, options: dict[str, Any]) -> None:
        from control.services import nodes

        taints = [change for change in options["changes"] if isinstance(change, dict)]
        removed = [change for change in options["changes"] if isinstance(change, str)]
        with transaction.atomic():  # whom it evicts is counted before anybody is
            row = nodes.taint(options["name"], taints, removed, actor())
            told = evictions.evicted(row.name, time.time())
        self.stdout.write(f"node/{row.name} {'tainted' if taints else 'untainted'}{f'; {told}' if told else ''}")

    def _cordon(self, options: dict[str, Any]) -> None:
        self._set_cordon(options["name"], cordoned=True)

    def _uncordon(self, options: dict[str, Any]) -> None:
        self._set_cordon(options["name"], cordoned=False)

    def _set_cordon(self, name: str, *, cordoned: bool) -> None:
        from control.services import nodes

        word = "cordoned" if cordoned else "uncordoned"
        before = get(BY_NAME["Node"], name)
        already = before.cordoned == cordoned and not (before.draining and not cordoned)
        nodes.cordon(name, actor(), cordoned=cordoned)
        self.stdout.write(f"node/{name} {'already ' if already else ''}{word}")

    def _drain(self, options: dict[str, Any]) -> None:
        from control.services import nodes

        row = get(BY_NAME["Node"], options["name"])
        nodes.drain(row.name, actor(), ask_budgets=not options["disable_eviction"])
        self.stdout.write(f"node/{row.name} cordoned")
        try:
            total, left = self._wait_until_empty(row, Patience(options["timeout"]))
        except KeyboardInterrupt:
            raise Failure(f"node {row.name} goes on draining; `node uncordon {row.name}` ends that") from None
        if left:
            raise Failure(left_sentence(row, left, total, options["timeout"]))
        self.stdout.write(f"node/{row.name} drained")

    def _declare_dead(self, options: dict[str, Any]) -> None:
        from control.services import nodes

        row = get(BY_NAME["Node"], options["name"])
        pods = nodes.declare_dead(row.name, actor())
        self.stdout.write(f"node/{row.name} declared dead; {pods} pods are replaced elsewhere")

    def _wait_until_empty(self, row: Node, patience: Patience) -> tuple[int, list[Pod]]:
        """Says of each pod when it goes, when it is gone, and what it waits for. How many there were, and are left."""
        shown: dict[str, str] = {}
        pods: list[Pod] = draining.pods_of(row)
        total, silence = len(pods), Told(self._say)
        for _ in patience.looks():
            pods = draining.pods_of(row)
            words = {f"{pod.namespace}/{pod.name}": draining.why_there(pod) for pod in pods}
            for name, word in words.items():
                if word and shown.get(name) != word:
                    self._say(f"evicting pod {name}" if word == draining.LEAVING else f"pod/{name} waits: {word}")
            for place, name in enumerate(sorted(shown.keys() - words.keys()), total - len(shown) + 1):
                self._say(f"pod/{name} evicted ({place} of {total})")
            shown = words
            if not pods:
                break
            silence(silent_sentence(row))
        return total, pods

    def _remove(self, options: dict[str, Any]) -> None:
        from control.services import nodes

        pods = nodes.remove(options["name"], actor(), force=options["force"])
        moved = f"; {draining.counted(pods)} replaced elsewhere" if pods else ""
        self.stdout.write(f"node/{options['name']} removed{moved}; containers on it were left as they are")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _add_arguments(add: ArgumentParser) -> None:
    add.add_argument("name", metavar="NAME")
    add.add_argument("address", metavar="ADDRESS", help="unix:///var/run/docker.sock, tcp://HOST:2376, ssh://USER@HOST")
    add.add_argument("--tls", type=Path, metavar="DIR", help="a folder with ca.pem, cert.pem and key.pem")
    add.add_argument("--ssh-key", type=Path, metavar="FILE", help="the private key, without a passphrase")
    add.add_argument("--known-hosts", type=Path, metavar="FILE", help="the host's key, as ssh-keyscan prints it")
    add.add_argument("--mesh-address", metavar="HOST", help="where other hosts reach it, if not at ADDRESS")
    add.add_argument("--label", action="append", type=set_pair, metavar="K=V", help="may be repeated")


def secrets(options: dict[str, Any]) -> dict[str, str]:
    """The texts of the files that open an engine."""
    if options["tls"] and (options["ssh_key"] or options["known_hosts"]):
        raise Failure("--tls is for tcp://, --ssh-key and --known-hosts for ssh://: give one of the two")
    found = {name: read_text(options["tls"] / f"{name}.pem") for name in TLS_FILES} if options["tls"] else {}
    for name in ("ssh_key", "known_hosts"):
        if options[name]:
            found[name] = read_text(options[name])
    return found


def read_text(path: Path) -> str:
    """A key file's text. The sentence of a failure never holds any of it."""
    try:
        if path.stat().st_size > LONGEST_FILE_BYTES:
            raise Failure(f"{path} is larger than 1 MiB: it is not a key file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not a text file") from error


def pair(text: str) -> tuple[str, str | None]:
    """`k=v` sets, `k-` removes."""
    return _read(label_change, text)


def set_pair(text: str) -> tuple[str, str]:
    key, value = pair(text)
    if value is None:
        raise ArgumentTypeError(f"{text!r}: write key=value")
    return key, value


def tainting(text: str) -> dict[str, str] | str:
    """`k=v:Effect` and `k:Effect` set; `k:Effect-` and `k-` remove (answered as a text)."""
    return _read(taint_change, text)


def _read(reader: Callable[[str], T], text: str) -> T:
    try:
        return reader(text)
    except Refused as refused:
        raise ArgumentTypeError(refused.sentence) from refused


def left_sentence(row: Node, left: list[Pod], total: int, timeout_seconds: float) -> str:
    return (
        f"node {row.name} was not drained within {timeout_seconds:g} s: {total - len(left)} of {total} pods moved, "
        f"{draining.left_words(left)}; it stays cordoned and goes on draining"
    )


def silent_sentence(row: Node) -> str:
    """A host may fall silent while it is drained."""
    now = Node.objects.filter(pk=row.pk).values_list("ready", "reason").first()
    if now is None or now[0]:
        return ""
    return (
        f"node {row.name} does not answer now ({now[1]}), so nothing on it can be stopped; the drain goes on when it "
        f"does; if the host is gone, `manage.py node declare-dead {row.name}` has its pods replaced elsewhere"
    )
