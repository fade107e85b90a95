"""From the files of a commit to manifests that are read and checked: for the sync loop, and for previews of it.

files -> rendered (as they are, kustomize, Compose, Helm) -> read -> what is kept of it
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from deployer.core.manifests import NamespacePolicy, ReadResult
from deployer.core.rendering.kept import Kept, kept
from deployer.core.rendering.rendered import read_rendered
from deployer.core.repository import SourceTree
from deployer.ports import Renderer


def read_tree(
    renderer: Renderer, tree: SourceTree, *, path: str, application: str, namespace: str, values: Sequence[str],
    policies: Mapping[str, NamespacePolicy], cache: MutableMapping[Any, Any] | None = None,
) -> tuple[ReadResult, Kept]:  # fmt: skip
    """What the files come to, with every error, and what of it is kept with the attempt."""
    rendered = renderer.render(tree, path=path, application=application, namespace=namespace, values=values)
    read = read_rendered(rendered, default_namespace=namespace, policies=policies, cache=cache)
    return read, kept(rendered, read)
