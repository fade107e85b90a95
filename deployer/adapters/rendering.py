"""The renderer behind the loops' port: plain files as they are, Compose by the core, kustomize and Helm by their tools.

The tools work on a copy of the files in a private folder, in memory where the machine has such a place, since files may
hold what was decrypted a moment ago. The folder is gone when the call returns.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from deployer.adapters.helm import render_chart
from deployer.adapters.kustomize import build
from deployer.core.compose.convert import convert
from deployer.core.manifests import ManifestError
from deployer.core.rendering.rendered import Piece, Rendered
from deployer.core.rendering.ways import way_of
from deployer.core.repository import SourceTree
from deployer.ports import SourceError

MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made there
MAX_TOTAL_BYTES = 32 * 1024 * 1024


class ToolRenderer:
    """Every call may be repeated and leaves nothing behind. It never raises for what the files hold.

    Raises SourceError when this machine cannot: it is tried again, and the commit is not refused for it.
    """

    def render(
        self, tree: SourceTree, *, path: str, application: str, namespace: str, values: Sequence[str] = ()
    ) -> Rendered:
        way = way_of(path, (one.path for one in tree.files))
        errors = tuple(ManifestError(file, 0, "", sentence, "") for file, sentence in tree.refusals)
        errors = (*errors, *tree.errors)
        if way.refusal:
            errors = (*errors, ManifestError(path or ".", 0, "", way.refusal, ""))
        if way.kind == "plain":
            return Rendered(way, tuple(Piece(one.path, one.data, one.decrypted) for one in tree.files), errors)
        if values and way.kind != "helm":
            message = f"files of values ({', '.join(values)}) are for charts, and {path or '.'} is none"
            errors = (*errors, ManifestError(way.file, 0, "", message, "add the application without --values"))
        if errors:
            return Rendered(way, (), errors)
        if way.kind == "compose":
            return convert(tree, way, application)
        if sum(len(one.data) for one in tree.files) > MAX_TOTAL_BYTES:
            message = f"needs more than {MAX_TOTAL_BYTES >> 20} MiB of files"
            return Rendered(way, (), (ManifestError(way.file, 0, "", message, "split the application"),))
        try:
            with _copied(tree) as folder:
                if way.kind == "kustomize":
                    return _marked(build(tree, way, folder), tree)
                rendered = render_chart(way, folder, application=application, namespace=namespace, values=values)
                return _marked(rendered, tree)
        except OSError as error:
            sentence = f"{way.file}: there is no room to render it here ({error.strerror}): free some in {_place()}"
            raise SourceError("DiskFull", sentence) from error


def _marked(rendered: Rendered, tree: SourceTree) -> Rendered:
    """What a tool made of a file that was encrypted counts as decrypted."""
    secret = {one.path for one in tree.files if one.decrypted}
    return replace(rendered, pieces=tuple(replace(one, decrypted=one.origin in secret) for one in rendered.pieces))


def _place() -> Path:
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


@contextlib.contextmanager
def _copied(tree: SourceTree) -> Iterator[Path]:
    """The files in a folder of their own within a private one. Their paths were checked where they were read."""
    with tempfile.TemporaryDirectory(prefix="pierhead-", dir=_place()) as made:
        folder = Path(made).resolve() / "files"
        folder.mkdir()
        for one in tree.files:
            target = folder.joinpath(*one.path.split("/"))
            if ".." in one.path.split("/") or folder not in target.parents:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(one.data)
        yield folder
