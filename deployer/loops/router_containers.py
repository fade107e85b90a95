"""The containers of one node's router are made to run as wanted: ask the core, do it, look, ask again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployer.core import actions
from deployer.core.container import LABEL_COMPONENT, PAUSE_IMAGE, ContainerSeen
from deployer.core.network.config import router_config
from deployer.core.network.names import PLACEHOLDER
from deployer.core.network.router_host import (
    COMPONENTS,
    DNS,
    EDGE,
    EDGE_FILE,
    NAMES_FOLDER,
    NET,
    ROUTER,
    VOLUME,
    Attach,
    Detach,
    FillRouter,
    HostStep,
    RouterHost,
    answered,
    folders,
    host_steps,
    lacking,
    routes,
)
from deployer.core.network.routing import Routed
from deployer.core.network.values import CONFIG_FILE, FOLDER, MESH_NETWORK, RouterConfig
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_files import contents, entries
from deployer.ports import Clock, EngineError, EngineUnreachable

MAX_ROUNDS = 12
EXEC_SECONDS = 30.0
RECOVER_SECONDS = 60.0
"""A container that keeps ending is left to Docker's own back-off, and set going by us no more often than this."""
LOG_LINES = 5
NO_NAMES = f"{PLACEHOLDER}\n".encode()


class RouterTrouble(EngineError):
    """What keeps a router from being as wanted, ready to be told."""


@dataclass
class RouterContainers:
    """One pass over them. `problems` are sentences about what is not as it should be."""

    node: RouterAccess
    routed: Routed
    config: RouterConfig
    clock: Clock
    problems: list[str] = field(default_factory=list)
    seen: list[ContainerSeen] = field(default_factory=list)
    _is_bare: bool = False
    _failed: set[str] = field(default_factory=set)

    def make(self) -> bool:
        """Returns whether a container is another, or has started, since the last pass. Raises EngineError."""
        try:
            whole = desired = self._desired()
        except RouterTrouble as trouble:
            return self._goes_on(trouble)
        self.seen = self._look(thorough=not self.node.memory.full_at)
        self._recover()
        for _ in range(MAX_ROUNDS):
            steps = host_steps(desired, self.seen)
            if not steps:
                break
            for step in steps:
                self._try(step)
            self.seen = self._look()
            desired = replace(whole, config=self._without_failed())
        self._all_run(whole)
        began = self._began()
        if NET in began or ROUTER in began or self.node.memory.answers is None:
            self._answer(whole)
        elif routes(whole, self.node.memory.answers):
            self._answer(whole, self.node.memory.answers)
        return ROUTER in began

    def _goes_on(self, trouble: RouterTrouble) -> bool:
        """An image that cannot be had is no reason to leave a router alone that runs: it is told, and served."""
        self.seen = self._look()
        found = [self.component(name) for name in (NET, ROUTER)]
        if any(one is None or one.state != "running" for one in found) or self.node.memory.answers is None:
            raise trouble
        self.problems.append(trouble.sentence)
        return ROUTER in self._began()

    def _began(self) -> list[str]:
        return [one for one in COMPONENTS if self.node.memory.began(one, self.component(one))]

    def component(self, name: str) -> ContainerSeen | None:
        return next((one for one in self.seen if one.name == f"pierhead-{name}"), None)

    def _desired(self) -> RouterHost:
        memory, routed = self.node.memory, self.routed
        for reference in {routed.router_image, routed.dns_image} - memory.image_ids.keys():
            memory.image_ids[reference] = self._image(reference)
        self.node.images.ensure_pause()
        if PAUSE_IMAGE not in memory.image_ids and (pause := self.node.engine.image(PAUSE_IMAGE)):
            memory.image_ids[PAUSE_IMAGE] = pause.id
        return RouterHost(routed.cluster, self.config, routed.router_image, routed.dns_image, dict(memory.image_ids))

    def _image(self, reference: str) -> str:
        """Its id on the host. What the host has is used as it is; a registry is asked for what it lacks."""
        found = self.node.engine.image(reference)
        if found is not None:
            return found.id
        self.node.images.doubt()
        try:
            return self.node.images.ensure(actions.EnsureImage(reference, "", "IfNotPresent"), None)[0].id
        except EngineError as error:
            if error.reason in ("Unreachable", "Closed"):
                raise
            setting = "PIERHEAD_ROUTER_IMAGE" if reference == self.routed.router_image else "PIERHEAD_DNS_IMAGE"
            sentence = f"{error.sentence}; load {reference} there, or set {setting} to an image that the node can get"
            raise RouterTrouble("RouterImageMissing", sentence) from error

    def _look(self, *, thorough: bool = False) -> list[ContainerSeen]:
        """Each component, inspected. Strays (doubled, renamed) are looked for only now and then: it lists the host."""
        names = {f"pierhead-{one}": None for one in COMPONENTS}
        if thorough:
            names |= {one.id: None for one in self.node.engine.containers() if LABEL_COMPONENT in one.labels}
        found = (self.node.engine.inspect(name) for name in names)
        return list({one.id: one for one in found if one is not None}.values())

    def _recover(self) -> None:
        """One that keeps ending is told with its last words, and begins again with what is known to work."""
        ending = [one for one in self.seen if one.state == "restarting" and one.name != f"pierhead-{EDGE}"]
        for one in ending:
            self.problems.append(f"{one.name} on {self.node.name} keeps ending: {self._last_words(one)}")
        now = self.clock.now()
        if not ending or now - self.node.memory.recovered_at < RECOVER_SECONDS:
            return
        self.node.memory.recovered_at, self._is_bare = now, True
        for one in ending:
            self.node.engine.stop(one.id, 0)
        self.seen = self._look()

    def _try(self, step: HostStep) -> None:
        """A network that cannot be had is told, and the router does without: others must not suffer for it."""
        match step:
            case actions.EnsureNetwork(name=name) if name != MESH_NETWORK:
                network = name
            case Attach(network=network):
                pass
            case _:
                self._do(step)
                return
        if network in self._failed:
            return
        try:
            self._do(step)
        except EngineUnreachable:
            raise
        except EngineError as error:
            self._failed.add(network)
            self.problems.append(error.sentence)

    def _without_failed(self) -> RouterConfig:
        left = tuple(one for one in self.config.attachments if one.network not in self._failed)
        return replace(self.config, attachments=left)

    def _do(self, step: HostStep) -> None:
        engine = self.node.engine
        match step:
            case actions.EnsureNetwork(name=name, namespace=namespace, subnet=subnet):
                self.node.images.ensure_network(name, namespace, self.routed.cluster.cluster_id, subnet, anew=True)
            case actions.EnsurePauseImage():
                engine.ensure_pause_image()
            case actions.EnsureVolume(spec=spec):
                self._is_bare |= VOLUME not in {one.name for one in engine.volumes()}
                engine.ensure_volume(spec)
            case actions.CreateContainer():
                self._create(step)
            case actions.StartContainer(name=name):
                engine.start(name)
            case actions.StopContainer(name=name, grace_seconds=grace):
                engine.stop(name, grace)
            case actions.RemoveContainer(name=name):
                engine.remove(name)
            case Attach(network=network, address=address):
                engine.attach(f"pierhead-{NET}", network, address)
            case Detach(network=network):
                self._detach(network)
            case FillRouter(name=name):
                self._fill(name)

    def _detach(self, network: str) -> None:
        """Its names go with it: a file is never empty, because dnsmasq keeps what an emptied one said."""
        self.node.engine.detach(f"pierhead-{NET}", network)
        if any(one.name == f"pierhead-{ROUTER}" for one in self.seen):
            self.node.engine.put_files(f"pierhead-{ROUTER}", FOLDER, entries({f"{NAMES_FOLDER}/{network}": NO_NAMES}))

    def _create(self, step: actions.CreateContainer) -> None:
        try:
            self.node.engine.create(step.spec, step.files)
        except EngineError:
            self.node.memory.forget()  # an image or a network that was believed to be there
            self.node.images.doubt()
            raise

    def _fill(self, name: str) -> None:
        """HAProxy's configuration is left as it is, the last one that was accepted, unless there is none that works."""
        files = contents(self.config)
        if self._is_bare and name == f"pierhead-{ROUTER}":
            bare = replace(self.routed.cluster, services=(), pods=(), ingresses=(), policies=(), tls=())
            first = router_config(bare)
            files = {**contents(first), **files, CONFIG_FILE: first.text.encode()}
        if name == f"pierhead-{EDGE}":
            files[EDGE_FILE] = self.config.edge.encode()
            self.node.memory.edge = ""
        self.node.engine.put_files(name, FOLDER, (*folders(files), *entries(files)))
        self.node.memory.sent({path: data for path, data in files.items() if path != CONFIG_FILE})

    def _all_run(self, desired: RouterHost) -> None:
        """The edge may fail alone: its ports are the host's. So may the resolver; without the others is no router."""
        missing = [one for one in lacking(desired, self.seen) if one != f"pierhead-{EDGE}"]
        if not missing:
            return
        seen = next((one for one in self.seen if one.name == missing[0]), None)
        words = f": {self._last_words(seen)}" if seen else ""
        sentence = f"{', '.join(missing)} on {self.node.name} does not run{words}"
        if missing != [f"pierhead-{DNS}"]:
            raise RouterTrouble("RouterNotRunning", sentence)
        self.problems.append(f"names are not answered: {sentence}")

    def _answer(self, desired: RouterHost, present: frozenset[str] | None = None) -> None:
        """The router answers for its virtual addresses: routes of its network namespace, gone with each start of it."""
        router = f"pierhead-{ROUTER}"
        if present is None:
            shown = self.node.engine.execute(router, ("ip", "route", "show", "table", "local"), EXEC_SECONDS)
            present = answered(shown.output)
        for command in routes(desired, present):
            done = self.node.engine.execute(router, command, EXEC_SECONDS)
            if done.exit_code and command[2] == "replace":
                sentence = f"{router} on {self.node.name} cannot answer for {command[4]}: {done.output.strip()[-200:]}"
                raise RouterTrouble("RouteRefused", sentence)
        self.node.memory.answers = frozenset(one.virtual_range for one in self.config.attachments)

    def _last_words(self, seen: ContainerSeen) -> str:
        if seen.detail and seen.detail.error:
            return seen.detail.error
        return last_lines(self.node, seen.id) or f"it is {seen.state}, and said nothing"


def last_lines(node: RouterAccess, container: str, count: int = LOG_LINES) -> str:
    try:
        text = b"".join(node.engine.logs(container, tail=count)).decode("utf-8", "replace")
    except EngineError:
        return ""
    return " | ".join(line.strip() for line in text.splitlines() if line.strip())[-1000:]


def checked(node: RouterAccess, container: str, path: str) -> str:
    """What HAProxy says against this configuration, "" when it accepts it."""
    done = node.engine.execute(container, ("haproxy", "-c", "-f", f"{FOLDER}/{path}"), EXEC_SECONDS)
    return "" if done.exit_code == 0 else done.output.strip()[-1500:] or f"it ended with {done.exit_code}"
