"""What README.md says is true of the code."""

from __future__ import annotations

import re
from pathlib import Path

from deployer.core.objects.support import render_support_table

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- support table: begin -->", "<!-- support table: end -->"


def test_the_support_table_is_made_from_the_code() -> None:
    """To bring it in step: `python3 -m tests.test_readme`."""
    assert between(readme()) == render_support_table().strip(), "run: .venv/bin/python -m tests.test_readme"


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"manage\.py ([a-z]+)", readme()))
    there = {path.stem for path in (ROOT / "control" / "management" / "commands").glob("[a-z]*.py")}
    assert named - there <= {"help"}


def test_every_benchmark_that_is_named_exists() -> None:
    named = set(re.findall(r"-m tests\.benchmarks\.([a-z_]+)", readme()))
    assert named
    assert all((ROOT / "tests" / "benchmarks" / f"{name}.py").exists() for name in named)


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def between(text: str) -> str:
    return text.partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = readme().partition(BEGIN)
    after = rest.partition(END)[2]
    made = f"{before}{BEGIN}\n{render_support_table().strip()}\n{END}{after}"
    (ROOT / "README.md").write_text(made, encoding="utf-8")
