"""What a chart needs, and what of Helm's output is taken."""

from __future__ import annotations

import pytest

from deployer.core.rendering.chart import pieces
from deployer.core.rendering.collecting import Found
from deployer.core.rendering.ways import way_of_folder
from tests.core.rendering.pictures import LINK, collected, told

WAY = way_of_folder("charts/shop", ["Chart.yaml"])
CHART: dict[str, str | Found] = {
    "charts/shop/Chart.yaml": "name: shop\nversion: 1.0.0\n", "charts/shop/values.yaml": "a: 1\n",
    "charts/shop/templates/web.yaml": "{{ x }}", "charts/shop/templates/_helpers.tpl": "x", "prod/values.yaml": "a: 2",
    "charts/other/Chart.yaml": "",
}  # fmt: skip


def test_the_folder_and_the_values_that_are_named() -> None:
    found = collected(WAY, CHART, "prod/values.yaml")
    assert not found.errors
    assert set(found.files) == set(CHART) - {"charts/other/Chart.yaml"}
    assert found.id != collected(WAY, CHART).id


@pytest.mark.parametrize(
    ("files", "values", "sentence"),
    [
        ({}, ["gone.yaml"], "gone.yaml: values of the application: does not exist in the repository (correct the path, "
                            "or push the file)"),
        ({"charts/shop/link": LINK}, [], "charts/shop/link: is a symbolic link, which is not followed (put the file "
                                         "itself there)"),
        ({"charts/shop/crds/a.yaml": ""}, [], "charts/shop/crds/a.yaml: there are no custom resources here (remove the "
                                              "folder crds from the chart)"),
        ({"charts/shop/Chart.yaml": "dependencies:\n- {name: redis, repository: 'https://example.com'}"}, [],
         "charts/shop/Chart.yaml:2: dependencies[0]: the chart redis is not in charts/shop/charts/, and nothing is "
         "fetched (run `helm dependency update`, and commit what it puts there)"),
        ({"charts/shop/Chart.yaml": "type: library"}, [], "charts/shop/Chart.yaml: type: a library chart has nothing "
                                                          "to install (follow a chart that uses it)"),
        ({"charts/shop/Chart.yaml": "a: b: c"}, [], "charts/shop/Chart.yaml:1: is not valid YAML"),
    ],
)  # fmt: skip
def test_refused_by_name(files: dict[str, str | Found], values: list[str], sentence: str) -> None:
    errors = told(collected(WAY, {**CHART, **files}, *values))
    assert len(errors) == 1, errors
    assert errors[0].startswith(sentence)


@pytest.mark.parametrize("vendored", ["redis/Chart.yaml", "redis-1.2.3.tgz"])
def test_a_chart_that_is_there_is_taken(vendored: str) -> None:
    files = {"charts/shop/Chart.yaml": "dependencies: [{name: redis}]", f"charts/shop/charts/{vendored}": ""}
    assert not told(collected(WAY, {**CHART, **files}))


HOOK = "kind: Pod\nmetadata: {{annotations: {{helm.sh/hook: '{}'}}}}\n"


def test_tests_are_left_out_and_hooks_refused() -> None:
    made, errors, warnings = pieces(WAY, {
        "shop/templates/web.yaml": "kind: Service\n", "shop/templates/NOTES.txt": "Thank you",
        "shop/templates/a": " \n",
        "shop/templates/tests/t.yaml": HOOK.format("test"), "shop/charts/redis/templates/r.yaml": "kind: Service\n",
        "shop/templates/hook.yaml": HOOK.format("pre-install, post-install"),
    })  # fmt: skip
    assert [one.origin for one in made] == [
        "charts/shop/charts/redis/templates/r.yaml", "charts/shop/templates/hook.yaml", "charts/shop/templates/web.yaml"
    ]  # fmt: skip
    assert [str(error) for error in errors] == [
        "charts/shop/templates/hook.yaml: is a hook (pre-install, post-install), which is not run here (turn it off in "
        "the values, or remove it from the chart)"
    ]
    assert [one.file for one in warnings] == ["charts/shop/templates/tests/t.yaml"]
