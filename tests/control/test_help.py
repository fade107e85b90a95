"""`manage.py help`: the commands of Pierhead, each with a line that is true of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import load_command_class

from control.data import HOME
from control.management.listing import Listing

NAMES = sorted(path.stem for path in Path(HOME, "control/management/commands").glob("[a-z]*.py"))
HERE = "manage.py"


def listing(*words: str) -> str:
    return Listing([HERE, *words]).main_help_text()


def test_help_lists_ours_with_a_line_each() -> None:
    lines = dict(re.findall(r"^  (\w+) +(\S.*\.)$", listing("help"), flags=re.MULTILINE))
    assert list(lines) == NAMES
    assert lines["run"] == "Runs one process of Pierhead in the foreground: web, worker, beat or watch."
    assert max(map(len, listing("help").splitlines())) <= 120
    assert "collectstatic" not in listing("help")


def test_djangos_are_a_word_away() -> None:
    assert f"{HERE} help --all " in listing("help")
    assert {"collectstatic", "migrate", "rollout"} <= set(listing("help", "--all").split())


@pytest.mark.parametrize("name", NAMES)
def test_a_line_names_every_verb(name: str) -> None:
    command = load_command_class("control", name)
    positional = [action for action in command.create_parser(HERE, name)._actions if not action.option_strings]
    verbs = [word for action in positional if action.dest in ("verb", "process") for word in action.choices or ()]
    assert [word for word in verbs if word not in re.findall(r"[\w-]+", command.help)] == []


def test_broken_settings_are_what_there_is_to_say() -> None:
    broken = Listing([HERE, "help"])
    broken.settings_exception = ValueError("DATABASE_URL must begin with postgresql://.")
    assert broken.main_help_text().endswith("repaired: DATABASE_URL must begin with postgresql://.")
