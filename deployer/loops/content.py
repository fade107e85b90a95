"""What decides that an application changed: the id of what it is made from. Equal ids, equal contents.

The poll asks it for all applications of a repository at once, and each application's own pass for itself; both come
here, so that they never differ.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployer.core.source import Origin, RepositoryAccess
from deployer.ports import Source


def contents(source: Source, repository: RepositoryAccess, commit: str, origins: Iterable[Origin]) -> dict[Origin, str]:
    """ "" where there is nothing. The commit is to be fetched before."""
    wanted = sorted(set(origins), key=lambda one: (one.path, one.values))
    return source.content_ids(repository, commit, wanted)


def content(source: Source, repository: RepositoryAccess, commit: str, origin: Origin) -> str:
    return contents(source, repository, commit, [origin])[origin]
