"""What a Helm chart needs: everything in its folder, and the files of values that the application names.

Charts that it depends on must stand in its `charts` folder, since nothing is fetched. What Helm would do besides
rendering (custom resources, hooks) is refused by name; tests, which an install does not run, are left out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from deployer.core.manifest_checks.finding import field_text, shown
from deployer.core.manifests import ManifestError
from deployer.core.rendering.collecting import Asked, Collected, Found, Gathering, why_not
from deployer.core.rendering.rendered import Piece
from deployer.core.rendering.ways import Way, join
from deployer.core.yaml_documents import Document, read_documents

_HOOK = "helm.sh/hook"
_TESTS = frozenset({"test", "test-success", "test-failure"})


def collecting_chart(way: Way, values: Sequence[str]) -> Generator[Asked, Mapping[str, Found], Collected]:
    gathering = Gathering()
    everything = f"{way.folder}/"
    yield from gathering.ask([everything])
    names = gathering.at(everything).names
    yield from gathering.ask([*names, *values])
    for path in (*names, *values):
        message, remedy = why_not(gathering.at(path))
        if message:
            named = "values of the application: " if path in values and path not in names else ""
            gathering.error(path, 0, "", f"{named}{message}", remedy)
        gathering.take(path)
    chart = gathering.at(way.file)
    if chart.what == "file":
        gathering.errors.extend(_chart_errors(way, chart.data, names))
    return gathering.collected(way.file)


def _chart_errors(way: Way, data: bytes, names: Iterable[str]) -> Iterator[ManifestError]:
    documents = read_documents(data)
    for problem in (problem for document in documents for problem in document.problems):
        yield ManifestError(way.file, problem.line, "", problem.message, problem.remedy)
    if len(documents) == 1 and isinstance(documents[0].data, dict):
        yield from _missing_charts(way, documents[0], names)
        if documents[0].data.get("type") == "library":
            yield ManifestError(
                way.file, 0, "type", "a library chart has nothing to install", "follow a chart that uses it"
            )
    crds = join(way.folder, "crds/")
    for name in names:
        if name.startswith(crds):
            yield ManifestError(
                name, 0, "", "there are no custom resources here", "remove the folder crds from the chart"
            )


def _missing_charts(way: Way, document: Document, names: Iterable[str]) -> Iterator[ManifestError]:
    vendored = join(way.folder, "charts/")
    there = {name.removeprefix(vendored).partition("/")[0] for name in names if name.startswith(vendored)}
    listed = document.data.get("dependencies")
    for number, one in enumerate(listed if isinstance(listed, list) else []):
        name = str(one.get("name", "")) if isinstance(one, dict) else ""
        if name and not any(
            found == name or (found.startswith(f"{name}-") and found.endswith(".tgz")) for found in there
        ):
            path = ("dependencies", number)
            message = f"the chart {shown(name)} is not in {vendored}, and nothing is fetched"
            remedy = "run `helm dependency update`, and commit what it puts there"
            yield ManifestError(way.file, document.line_of(path), field_text(path), message, remedy)


def pieces(way: Way, rendered: Mapping[str, str]) -> tuple[list[Piece], list[ManifestError], list[ManifestError]]:
    """Helm's output, template by template -> (documents, errors, warnings). Names begin with the chart's own."""
    made: list[Piece] = []
    errors: list[ManifestError] = []
    warnings: list[ManifestError] = []
    for name, text in sorted(rendered.items()):
        if not text.strip() or name.endswith("NOTES.txt"):
            continue
        origin = join(way.folder, name.partition("/")[2])
        documents = read_documents(text.encode())
        hooks = [hook for document in documents for hook in _hooks(document.data)]
        if hooks and all(hook in _TESTS for hook in hooks) and all(_hooks(one.data) for one in documents):
            warnings.append(ManifestError(origin, 0, "", "is a test of the chart, and is left out", "run it by hand"))
            continue
        if hooks:
            message = f"is a hook ({shown(', '.join(hooks))}), which is not run here"
            errors.append(
                ManifestError(origin, 0, "", message, "turn it off in the values, or remove it from the chart")
            )
        made.append(Piece(origin, text.encode()))
    return made, errors, warnings


def _hooks(data: Any) -> list[str]:
    metadata = data.get("metadata") if isinstance(data, dict) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    told = annotations.get(_HOOK) if isinstance(annotations, dict) else None
    return [one.strip() for one in told.split(",")] if isinstance(told, str) else []
