"""Helm, as an optional extra: a chart's templates rendered by Helm's own engine, in a process of its own.

The library is large and is loaded nowhere else. Rendering talks to no cluster and no network; what it prints is taken
apart by the core.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deployer.adapters.program import ProgramFailed, run
from deployer.core.manifests import ManifestError
from deployer.core.rendering.chart import pieces
from deployer.core.rendering.rendered import Rendered
from deployer.core.rendering.ways import Way
from deployer.core.yaml_documents import read_documents

TIMEOUT_SECONDS = 60.0
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
LONGEST_ERROR = 600
_CHILD = Path(__file__).with_name("helm_child.py")
NOT_INSTALLED = (
    "Helm charts take an extra of 244 MB that is not installed here",
    "install it with `python3 -m pip --python .venv/bin/python install -r control/requirements-helm.txt` (for the "
    "Docker image: docker compose build --build-arg HELM=1), or commit the output of `helm template`",
)


def render_chart(way: Way, folder: Path, *, application: str, namespace: str, values: Sequence[str]) -> Rendered:
    """`folder` holds the files; the release is called as the application."""
    if importlib.util.find_spec("helm_python") is None:
        return _refused(way, *NOT_INSTALLED)
    given, wrong = _values(folder, values)
    if wrong:
        return Rendered(way, (), tuple(wrong))
    chart = folder.joinpath(*way.folder.split("/")) if way.folder else folder
    asked = folder.parent / "asked.json"
    asked.write_text(json.dumps({"chart": str(chart), "name": application, "namespace": namespace, "values": given}))
    try:
        ran = run(
            [sys.executable, "-I", str(_CHILD), str(asked)], folder, timeout_seconds=TIMEOUT_SECONDS,
            max_output_bytes=MAX_OUTPUT_BYTES, name="Helm",
        )  # fmt: skip
    except ProgramFailed as failed:
        return _refused(way, failed.sentence, "make the chart smaller; if this machine was busy, sync again")
    try:
        told = json.loads(ran.output)
    except ValueError:
        told = {"error": f"it broke off with code {ran.code}: a template may want more than 2 GiB of memory"}
    if "manifests" not in told:
        text = " ".join(str(told.get("error", "")).replace(f"{folder}/", "").split())
        return _refused(
            way, f"Helm refused it: {text[:LONGEST_ERROR]}", "`helm template` on your machine says the same"
        )
    made, errors, warnings = pieces(way, told["manifests"])
    return Rendered(way, () if errors else tuple(made), tuple(errors), tuple(warnings))


def _values(folder: Path, paths: Sequence[str]) -> tuple[dict[str, Any], list[ManifestError]]:
    """The files of values, one over the other: maps are merged, all else is replaced, as Helm does."""
    given: dict[str, Any] = {}
    wrong: list[ManifestError] = []
    for path in paths:
        for document in read_documents(folder.joinpath(*path.split("/")).read_bytes()):
            wrong.extend(ManifestError(path, one.line, "", one.message, one.remedy) for one in document.problems)
            if isinstance(document.data, dict):
                given = laid_over(given, document.data)
            elif not document.problems:
                wrong.append(ManifestError(path, document.line, "", "is not a map of values", "write NAME: VALUE"))
    return given, wrong


def laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    made = dict(under)
    for key, value in over.items():
        known = made.get(key)
        made[key] = laid_over(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return made


def _refused(way: Way, message: str, remedy: str) -> Rendered:
    return Rendered(way, (), (ManifestError(way.file, 0, "", message, remedy),))
