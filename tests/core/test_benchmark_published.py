"""What README.md shows of the figures: the table, its place, and the plot of how cost grows."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from tests.benchmarks.estate import replaced
from tests.benchmarks.figures import Figure
from tests.benchmarks.growth import by_size, series, svg
from tests.benchmarks.published import BEGIN, END, KEPT, README, chapter, filled, merged, table

PASS = "1,000 nodes, 5,000 applications, {} pods: a pass without change, CPU"
MACHINE = {"processor": "A CPU", "cores": 2, "memory_gb": 8, "versions": "Python 3.11"}


def test_the_readme_shows_the_figures_that_are_kept() -> None:
    """To bring it in step: `python3 -m tests.benchmarks.published`."""
    kept, text = json.loads(KEPT.read_text(encoding="utf-8")), README.read_text(encoding="utf-8")
    assert filled(text, chapter(kept)) == text


def test_a_figure_that_is_measured_anew_takes_the_place_of_the_earlier_one() -> None:
    before = [Figure("a", "s", (1.0,)), Figure("b", "s", (2.0,)), Figure("b", "s", (9.0,), of="Docker Swarm")]
    found = merged(before, [Figure("b", "s", (3.0,)), Figure("c", "s", (4.0,))])
    assert [(one.name, one.median) for one in found] == [("a", 1), ("b", 3), ("b", 9), ("c", 4)]


def test_the_table_has_what_is_asked_and_what_has_a_peer() -> None:
    figures = [
        Figure("asked", "s", (1.0,), at_least=2), Figure("alone", "s", (1.0,)),
        Figure("beside", "s", (1.0,)), Figure("beside", "s", (3.0,), of="Docker Swarm"),
    ]  # fmt: skip
    assert [row[0] for row in table(figures)] == ["asked", "beside"]
    assert {len(row) for row in table(figures)} == {7}


def test_the_chapter_names_the_day_and_the_machine() -> None:
    made = chapter({"at": 0.0, "machine": MACHINE, "figures": []})
    assert made.startswith("On 1970-01-01: A CPU, 2 cores, 8 GB; Python 3.11.\n")


def test_the_text_around_it_stays() -> None:
    text = f"one\n{BEGIN}\nold\n{END}\ntwo\n"
    assert filled(text, "new\n") == f"one\n{BEGIN}\nnew\n{END}\ntwo\n"
    with pytest.raises(ValueError, match=r"README\.md has no"):
        filled("one\n", "new")


def test_points_are_in_the_order_of_pods_and_other_figures_are_no_points() -> None:
    figures = [Figure(PASS.format("20,000"), "s", (4.0, 5.0, 9.0)), Figure(PASS.format("100"), "s", (0.1,)),
               Figure("deploy 3", "s", (1.0,)), Figure(PASS.format("5").replace("CPU", "x"), "s", (1.0,))]  # fmt: skip
    assert series(figures) == {"a pass without change (CPU)": [(100, 0.1), (20_000, 5.0)]}


def test_sizes_stand_beside_each_other_and_what_was_not_measured_is_left_open() -> None:
    figures = [Figure(PASS.format("20,000"), "s", (4.0, 5.0, 9.0)), Figure(PASS.format("100"), "s", (0.1,)),
               Figure(PASS.format("100").replace("a pass without change, CPU", "database"), "MB", (7.0,))]  # fmt: skip
    assert by_size(figures) == [
        ["nodes / applications / pods", "1,000 / 5,000 / 100", "1,000 / 5,000 / 20,000"],
        ["a pass without change, CPU", "0.1 s", "5.00 s"],
        ["database", "7.00 MB", ""],
    ]
    assert by_size([Figure("deploy 3", "s", (1.0,))]) == []


def test_what_grows_with_its_cause_rises_evenly_and_labels_lie_apart() -> None:
    made = svg({"a": [(100, 0.1), (1_000, 1.0), (10_000, 10.0)], "b": [(100, 0.1), (10_000, 9.9)]})
    root = ElementTree.fromstring(made)
    lines = [one.attrib["points"].split() for one in root if one.tag.endswith("polyline")]
    heights = [float(point.split(",")[1]) for point in lines[0]]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    labels = [float(one.attrib["y"]) for one in root if one.tag.endswith("text") and one.text in ("a", "b")]
    assert abs(labels[0] - labels[1]) >= 16
    assert "prefers-color-scheme:dark" in made


def test_a_plot_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to plot"):
        svg({})


def test_words_are_replaced_anywhere_in_a_value_the_first_ones_first() -> None:
    words = [("seed-1", "app-7-x"), ("seed", "app-7")]
    assert replaced({"seed": ["seed-1", {"n": 1}]}, words) == {"app-7": ["app-7-x", {"n": 1}]}
