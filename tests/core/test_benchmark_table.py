"""The table of `manage.py benchmark`: what stands beside what, and what is called met."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.catalogue import CATALOGUE
from tests.benchmarks.figures import COLLECTED, Figure, load, show
from tests.benchmarks.table import TITLES, markdown, rows, text

OURS = Figure("deploy 3", "s", (0.9, 1.0, 1.4), at_least=1.2, aim=0.5)
SWARM = Figure("deploy 3", "s", (2.0,), of="Docker Swarm")


def test_a_peer_stands_beside_ours_with_the_ratio() -> None:
    assert rows([SWARM, OURS]) == [
        ["deploy 3", "1.00 s", "0.9 to 1.40", "3", "Docker Swarm 2.00, 0.5x", "1.20 / 0.5", "met", ""]
    ]


def test_a_peer_alone_has_a_row_of_its_own() -> None:
    assert [row[0] for row in rows([SWARM])] == ["deploy 3 (Docker Swarm)"]


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("x", "s", (0.5,), at_least=1, aim=0.5), "aim"),
        (Figure("x", "s", (1.0,), at_least=1, aim=0.5), "met"),
        (Figure("x", "s", (1.01,), at_least=1, aim=0.5), "missed"),
        (Figure("x", "pods/s", (1999.0,), at_least=2000, more=True), "missed"),
        (Figure("x", "pods/s", (2000.0,), at_least=2000, aim=9000, more=True), "met"),
        (Figure("x", "s", (5.0,)), ""),
    ],
)
def test_what_is_asked_is_met_or_missed(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict


@pytest.mark.parametrize(
    ("before", "said"),
    [((0.95,), "0.95 (about the same)"), ((2.0,), "2.00 (-50 %)"), ((0.5,), "0.5 (+100 %)"), ((0.0,), "0")],
)
def test_an_earlier_run_is_compared_and_noise_is_no_change(before: tuple[float, ...], said: str) -> None:
    assert rows([OURS], [Figure("deploy 3", "s", before)])[0][-1] == said


def test_figures_are_collected_and_a_line_that_was_cut_off_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures"
    monkeypatch.setenv(COLLECTED, str(file))
    shown = show("deploy 3", [1, 2], "s", at_least=3)
    with file.open("a") as more:
        more.write('{"name": "half')
    assert load(file) == [shown]
    assert "at least 3.00" in capsys.readouterr().out


def test_figures_of_a_script_that_uses_the_tests_hosts_are_collected() -> None:
    """Bug: their surroundings took the variable away, so benchmarks on real hosts printed figures and kept none."""
    assert not COLLECTED.startswith("PIERHEAD_")


def test_what_was_never_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        show("deploy 3", [], "s")


def test_tables_in_both_forms() -> None:
    found = rows([OURS])
    assert text(found, TITLES).splitlines()[1].startswith("deploy 3  1.00 s")
    assert markdown(found, TITLES).splitlines()[1] == "|---|---|---|---|---|---|---|---|"


def test_every_benchmark_that_is_listed_is_there() -> None:
    missing = [
        one.module for one in CATALOGUE.values() if not importlib.util.find_spec(f"tests.benchmarks.{one.module}")
    ]
    assert not missing


def test_one_that_is_not_there_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "there is no benchmark speed; there are rollouts, failover" in capsys.readouterr().err


def test_figures_to_compare_with_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps([]))
    with pytest.raises(SystemExit, match="holds no figures"):
        main(["--compare", str(tmp_path / "old.json"), "judge"])
