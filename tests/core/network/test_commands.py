"""Lines for HAProxy's command line: nothing that a manifest says can end a command or become another one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.network import commands
from deployer.core.network.commands import (
    LONGEST_LINE,
    batches,
    command_word,
    is_entry,
    map_changes,
    map_commands,
    prepare_map,
    read_map,
    read_version,
)
from tests.core.network.hunt import hunted

PATH = "/pierhead/maps/mesh.map"
ENTRIES = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=6)
NASTY = st.text(alphabet="a;\\ <\n\t#@\"'0x", max_size=6)
NASTY_ENTRIES = st.dictionaries(NASTY, NASTY, max_size=6)
ALIKE = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("12"))


def parsed(line: str) -> list[list[str]]:
    """As HAProxy does: lines end at a line break, commands at a plain ";", words at a plain space or tab."""
    assert not re.search(r"(?<!\\)<<\s*$", line), "it would wait for more lines"
    parts = [part for one in line.split("\n") for part in split(one, ";")]
    return [[unescaped(word) for word in split(part, " \t") if word] for part in parts]


def split(text: str, ends: str) -> list[str]:
    parts = [""]
    letters = iter(text)
    for letter in letters:
        if letter in ends:
            parts.append("")
        else:
            parts[-1] += letter + (next(letters, "") if letter == "\\" else "")
    return parts


def unescaped(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word)


@given(st.one_of(ENTRIES, NASTY_ENTRIES))
def test_a_replacement_adds_exactly_its_entries_and_commits_last(entries: dict[str, str]) -> None:
    found = [command for line in map_commands(PATH, entries, 7) for command in parsed(line)]
    kept = {key: value for key, value in entries.items() if is_entry(key, value)}
    assert found[:-1] == [["add", "map", "@7", PATH, key, value] for key, value in sorted(kept.items())]
    assert found[-1] == ["commit", "map", "@7", PATH]


@given(ALIKE, ALIKE)
def test_changes_in_place_make_one_map_into_the_other(desired: dict[str, str], observed: dict[str, str]) -> None:
    lines = map_changes(PATH, desired, observed)
    if lines is None:
        return
    live = dict(observed)
    for words in (words for line in lines for words in parsed(line)):
        match words:
            case ["del", "map", _, key]:
                del live[key]
            case ["add", "map", _, key, value]:
                assert key not in live
                live[key] = value
            case ["set", "map", _, key, value]:
                assert key in live
                live[key] = value
        assert live.keys() >= desired.keys() & observed.keys()
    assert live == desired


def test_a_small_difference_is_made_in_place_and_a_great_one_not() -> None:
    many = {f"k{number}": "1" for number in range(10)}
    assert map_changes(PATH, many, many) == ()
    assert map_changes(PATH, {**many, "k3": "2"}, many) == (f"set map {PATH} k3 2",)
    assert map_changes(PATH, {}, {"a": "1"}) == (f"del map {PATH} a",)
    assert map_changes(PATH, many, {}) is None
    assert map_changes(PATH, many, {**many, "two words": ""}) is None, "what it cannot name, it replaces"


def test_words_and_lines() -> None:
    assert command_word(r"a b;c\d<<") == r"a\ b\;c\\d\<\<"
    with pytest.raises(ValueError, match="no word for a command"):
        command_word("a\nshow info")
    with pytest.raises(ValueError, match="no word"):
        command_word("")
    lines = batches(["x" * 5000] * 5)
    assert [line.count(";") for line in lines] == [1, 1, 0]
    assert all(len(line) <= LONGEST_LINE for line in lines)
    assert batches([]) == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [("#k", "v"), ("a b", "v"), ("", "v"), ("k", ""), ("k", " v"), ("k", "a\nb"), ("k\r", "v"), ("k", "\x00")],
)
def test_what_no_map_can_hold(key: str, value: str) -> None:
    assert not is_entry(key, value)


def test_answers_are_read() -> None:
    assert prepare_map(PATH) == f"prepare map {PATH}"
    assert read_version("New version created: 12\n\n") == 12
    assert read_version("Unknown map identifier. Please use #<id> or <file>.\n") is None
    assert read_map("0x55 a 1\n0x56 b two words\n\n") == {"a": "1", "b": "two words"}
    assert read_map("\n") == {}
    assert read_map("0x55 a 1\n0x56 a 2\n") is None
    assert read_map("Unknown map identifier. Please use #<id> or <file>.\n") is None


@pytest.mark.parametrize(
    ("name", "broken", "broken_property", "drawn"),
    [
        pytest.param("_ESCAPED", re.compile(r"([\\ <])"),
                     test_a_replacement_adds_exactly_its_entries_and_commits_last, (NASTY_ENTRIES,), id="semicolon"),
        pytest.param("_ESCAPED", re.compile(r"([; <])"),
                     test_a_replacement_adds_exactly_its_entries_and_commits_last, (NASTY_ENTRIES,), id="backslash"),
        pytest.param("_is_printable", lambda text: True,
                     test_a_replacement_adds_exactly_its_entries_and_commits_last, (NASTY_ENTRIES,), id="line break"),
    ],
)  # fmt: skip
def test_each_property_can_fail(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Any, broken_property: Any, drawn: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(commands, name, broken)
    with pytest.raises(AssertionError):
        hunted(broken_property, *drawn)
