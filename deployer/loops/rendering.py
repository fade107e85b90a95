"""From the files of a commit to manifests that are read and checked: for the sync loop, and for previews of it.

files -> decrypted (SOPS) -> rendered (as they are, kustomize, Compose, Helm) -> read -> what is kept of it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from deployer.core import sops
from deployer.core.manifest_set import Known
from deployer.core.manifests import NamespacePolicy, ReadResult
from deployer.core.rendering.kept import Kept, kept
from deployer.core.rendering.rendered import read_rendered
from deployer.core.repository import SourceTree
from deployer.ports import Renderer


def read_tree(
    renderer: Renderer, tree: SourceTree, identities: Callable[[], Sequence[str]], *, path: str, application: str,
    namespace: str, values: Sequence[str], policies: Mapping[str, NamespacePolicy],
    cache: MutableMapping[Any, Any] | None = None, known: Known | None = None,
) -> tuple[ReadResult, Kept]:  # fmt: skip
    """What the files come to, with every error, and what of it is kept with the attempt.

    `identities`: age's, asked for when the first encrypted file is found. `known`: what is on record beside the files.
    """
    opened = sops.opened(tree, identities)
    rendered = renderer.render(opened.tree, path=path, application=application, namespace=namespace, values=values)
    by_tool = rendered.way.kind != "plain"
    read = read_rendered(rendered, default_namespace=namespace, policies=policies, cache=cache, known=known)
    read = opened.told(read, rendered=by_tool)
    if by_tool and opened.values and read.errors:
        return read, Kept("", rendered.way.kind)  # decrypted values may stand anywhere in it
    return read, kept(rendered, read)
