"""The configuration of one node's router. `router_config` is the only door; all else here makes parts of it.

    Cluster -> sound (what may be written down) -> Scene (endpoints) -> parts -> text, maps, files, structure

Pods, weights, policies and routing rules are servers and map entries, which change while HAProxy runs. `structure`
names all the rest, which a reload brings about. Two rules keep manifests out of the text: names have been checked for
their form (`soundness.py`), everything else that people write is a map's key or value (`maps.py`). Nothing here reads
or writes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

from deployer.core.network import latency, preamble, probes, splits
from deployer.core.network.addresses import addresses
from deployer.core.network.edge import edge, edge_text
from deployer.core.network.ingress import ingress
from deployer.core.network.maps import ALWAYS
from deployer.core.network.mesh import mesh
from deployer.core.network.names import names
from deployer.core.network.peers import peer_checks
from deployer.core.network.runtime import marked
from deployer.core.network.scene import Scene, scene
from deployer.core.network.sections import Part, Section, joined, text
from deployer.core.network.services import services
from deployer.core.network.soundness import sound
from deployer.core.network.values import Attachment, Cluster, RouterConfig

_NAMES = "names/"


def router_config(cluster: Cluster) -> RouterConfig:
    """Everything that the router of `cluster.node` is to be. Raises ValueError for a pod range that is none."""
    kept, left_out = sound(cluster)
    view = scene(kept)
    openings, ports = edge(view)
    empty = Part(maps={name: {} for name in ALWAYS}, problems=(*left_out, *view.problems))
    chosen = Part(maps=splits.maps(view.services.values(), view.choices))
    checks = (_probes(kept), peer_checks(kept))
    whole = joined((empty, mesh(view), services(view), openings, ingress(view), chosen, *checks, names(view)))
    sections = tuple(_marked(section) for section in (*_preamble(), *whole.sections))
    structure = _structure(sections, whole.files)
    return RouterConfig(
        text=text((preamble.process(structure), *sections)),
        structure=structure,
        servers={one.name: one.servers for one in sections if one.servers is not None},
        maps=whole.maps,
        files=whole.files,
        attachments=_attachments(view),
        edge=edge_text(view.router, ports),
        edge_ports=ports,
        problems=tuple(_plain(problem) for problem in whole.problems),
    )


def _preamble() -> tuple[Section, ...]:
    defaults = (preamble.tcp(), preamble.http(), preamble.http_backend())
    return (preamble.peers(), preamble.resolvers(), *defaults, latency.table())


def _probes(cluster: Cluster) -> Part:
    """The probes of this node's pods, each kind a backend of its own that nothing is sent to."""
    sections = tuple(
        Section(f"backend {one.name} from {preamble.DEFAULTS_TCP}", one.lines, one.servers)
        for one in probes.backends(cluster)
    )
    return Part(sections, probes.maps(cluster))


def _marked(section: Section) -> Section:
    """Every server carries a digest of its words, by which a running one is known to be as it should."""
    return replace(section, servers=None if section.servers is None else tuple(map(marked, section.servers)))


def _structure(sections: Iterable[Section], files: Mapping[str, bytes]) -> str:
    """A hash of the text without servers, and of the files that HAProxy reads at a reload only."""
    parts = [preamble.process("").lines[0], text(sections, with_servers=False)]
    digest = sha256("\n".join(parts).encode())
    for name in sorted(files):
        if not name.startswith(_NAMES):
            digest.update(f"\0{name}\0".encode() + sha256(files[name]).digest())
    return digest.hexdigest()[:32]


def _plain(sentence: str) -> str:
    """A sentence may quote what people wrote: one line, without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in sentence)


def _attachments(view: Scene) -> tuple[Attachment, ...]:
    found = ((one, addresses(view.cluster.pod_range, one.index)) for one in view.networks)
    return tuple(Attachment(one.name, at.router, at.virtual_range) for one, at in found)
