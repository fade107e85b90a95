"""Tables, ages, durations, and what a terminal is not shown."""

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.management.output import age, clean, duration, fields, plain, size, table


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (332, "5m32s"), (599, "9m59s"), (600, "10m"),
        (3 * 3600 - 1, "179m"), (3 * 3600, "3h"), (3 * 3600 + 720, "3h12m"), (8 * 3600, "8h"), (47 * 3600, "47h"),
        (48 * 3600, "2d"), (52 * 3600, "2d4h"), (8 * 86400, "8d"), (729 * 86400, "729d"), (760 * 86400, "2y30d"),
        (3000 * 86400, "8y"),
    ],
)  # fmt: skip
def test_an_age_is_kubectls(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("60s", 60), ("1.5s", 1.5), ("5m", 300), ("1h", 3600), ("1h30m10s", 5410), ("0", 0)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "-5", "5d", "1e9", "5m1h", "999999h", "60 s x", "٣s", "nan", "inf"])
def test_a_duration_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        duration(text)


def test_a_table_is_aligned_without_blanks_at_line_ends() -> None:
    shown = table(("NAME", "AGE"), [("web", "5s"), ("a-longer-name", "1m"), ("", "日本")])
    assert shown == "NAME            AGE\nweb             5s\na-longer-name   1m\n<none>          日本\n"


def test_fields_continue_under_themselves() -> None:
    assert fields([("Name", "web"), ("Labels", "a=1\nb=2"), ("Node", "")]) == (
        "Name:    web\nLabels:  a=1\n         b=2\nNode:    <none>\n"
    )


@pytest.mark.parametrize(("count", "shown"), [(512 << 20, "512Mi"), (int(7.6 * (1 << 30)), "7.6Gi"), (12, "12")])
def test_a_size_is_short(count: int, shown: str) -> None:
    assert size(count) == shown


HOSTILE = "\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07\x1b[1;1Hhome\rover\x08\x9b2J\u202egnp"


def test_a_terminal_is_not_commanded() -> None:
    assert plain(HOSTILE) == "red homeover2Jgnp"
    assert plain(HOSTILE, colours=True) == "\x1b[31mred\x1b[0m homeover2Jgnp"
    assert plain("tab\there\r\nnext") == "tab\there\nnext"


@given(st.text())
def test_one_line_stays_one_line(text: str) -> None:
    shown = clean(text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert shown == clean(shown)
