"""The annotation's grammar: what each text becomes, where each mistake is told, and that print and parse agree."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.canary.annotation import BadCanary, Canary, Stage, parse, render, strategy
from deployer.core.canary.values import Analyse, Judge, Pause, SetWeight, Stickiness

QUICKLY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("5% for 10m, errors < 1%", "5% for 10m, errors < 1%"),
        ("  5%  ", "5%"),
        ("0.5% for 90s", "0.5% for 1m30s"),
        ("100% until promoted", "100% until promoted"),
        ("5% for 10m until promoted", "5% for 10m until promoted"),
        ("1% for 5m\n10% for 30m\nerrors < 0.5%", "1% for 5m, 10% for 30m, errors < 0.5%"),
        ("1%,\n10%\n\n50%", "1%, 10%, 50%"),
        ("5%\r\n10%", "5%, 10%"),
        ("5%, slow<5pp,errors <1%", "5%, errors < 1%, slow < 5%"),
        ("5%, only errors", "5%, only errors"),
        ("5%, sticky by cookie session", "5%, sticky by cookie session"),
        ("5%, sticky by header X-User", "5%, sticky by header X-User"),
        ("5%, sticky by client", "5%, sticky by client"),
        ("5% for 1h, at most 90m", "5% for 1h, at most 1h30m"),
        ("5%, warmup 30s, interval 5s", "5%, interval 5s, warmup 30s"),
        ("5%, alpha 0.010, tolerance 1.50", "5%, alpha 0.01, tolerance 1.5"),
        ("5%, margin 1 pp, effect 0.2%", "5%, effect 0.2pp, margin 1pp"),
        ("5%, slow margin 3%, slow < 9%, margin 2%", "5%, slow < 9%, margin 2pp, slow margin 3pp"),
        ("5%, guard 50% over 100 requests", "5%, guard 50% over 100 requests"),
        ("5%, on inconclusive abort, on no traffic pause", "5%, on no traffic pause, on inconclusive abort"),
    ],
)
def test_a_text_is_printed_in_one_way(text: str, printed: str) -> None:
    assert render(parse(text)) == printed
    assert parse(printed) == parse(text)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "expected a stage such as 5% for 10m, found the end"),
        ("errors < 1%", 1, 1, 'expected a stage such as 5% for 10m, found "errors"'),
        ("5 for 10m", 1, 1, 'expected a stage such as 5% for 10m, found "5"'),
        ("5%%", 1, 1, 'expected a stage such as 5% for 10m, found "5%%"'),
        ("0%", 1, 1, "a stage is from 0.01% to 100%"),
        ("100.01%", 1, 1, "a stage is from 0.01% to 100%"),
        ("5.123%", 1, 1, 'expected a stage such as 5% for 10m, found "5.123%"'),
        ("5% for 10", 1, 8, 'expected a duration such as 10m, found "10"'),
        ("5% for", 1, 7, "expected a duration such as 10m, found the end"),
        ("5% for, errors < 1%", 1, 7, "expected a duration such as 10m, found a comma"),
        ("5% for\n10%", 1, 7, "expected a duration such as 10m, found the end of the line"),
        ("5% for 31d", 1, 8, "must be at most 30 days"),
        ("5% for 0s", 1, 8, "must be at least 1s and at most 30d"),
        ("5% for 1.5h", 1, 8, 'expected a duration such as 10m, found "1.5h"'),
        ("5% for 10m errors < 1%", 1, 12, 'expected a comma or the end of the line, found "errors"'),
        ("5% until tomorrow", 1, 10, 'expected promoted, found "tomorrow"'),
        ("10%, 5%", 1, 6, "a stage is more than the one before, 10%"),
        ("10% for 1m\n  10%", 2, 3, "a stage is more than the one before, 10% for 1m"),
        ("5%, errors < 1%, 10%", 1, 18, "a stage stands after a rule: write the stages first"),
        ("5%,, 10%", 1, 4, "expected a stage such as 5% for 10m, or a rule: errors < 1%, slow < 5%, only, sticky by, "
         "at most, interval, warmup, alpha, tolerance, effect, margin, guard, on, found a comma"),
        ("5%\nerror < 1%", 2, 1, "expected a stage such as 5% for 10m, or a rule: errors < 1%, slow < 5%, only, "
         "sticky by, at most, interval, warmup, alpha, tolerance, effect, margin, guard, on, found \"error\""),
        ("5%, errors > 1%", 1, 12, 'expected <, found ">"'),
        ("5%, errors < 0%", 1, 14, "must be more than 0% and at most 100%"),
        ("5%, errors < 101%", 1, 14, "must be more than 0% and at most 100%"),
        ("5%, errors < 1m", 1, 14, 'expected a share such as 1%, found "1m"'),
        ("5%, errors < 1%, errors < 2%", 1, 18, "errors stands there twice"),
        ("5%, only fast", 1, 10, 'expected errors or slow, found "fast"'),
        ("5%, only slow, only errors", 1, 16, "only stands there twice"),
        ("5%, sticky cookie a", 1, 12, 'expected by, found "cookie"'),
        ("5%, sticky by ip", 1, 15, 'expected cookie or header or client, found "ip"'),
        ("5%, sticky by cookie", 1, 21, "expected the name of a cookie, found the end"),
        ("5%, sticky by header a:b", 1, 22, 'expected the name of a header, found "a:b"'),
        ("5%, sticky by client, sticky by client", 1, 23, "sticky stands there twice"),
        ("5%, interval 1h", 1, 14, "must be at least 1s and at most 10m"),
        ("5%, alpha 0.5", 1, 11, "must be more than 0 and at most 0.25"),
        ("5%, tolerance 0.5", 1, 15, "must be at least 1 and at most 100"),
        ("5% for 2h, at most 1h", 1, 20, "at most 1h is less than 5% for 2h"),
        ("5%, at most 1h, warmup 2h", 1, 24, "at most 1h is less than warmup 2h"),
        ("5%, warmup 2h, at most 1h", 1, 24, "at most 1h is less than warmup 2h"),
        ("5%, guard 25%", 1, 14, "expected over, found the end"),
        ("5%, guard 25% over 2.5 requests", 1, 20, "must be a whole number"),
        ("5%, guard 25% over 20", 1, 22, "expected requests, found the end"),
        ("5%, on traffic pause", 1, 8, 'expected no or inconclusive, found "traffic"'),
        ("5%, on no traffic stop", 1, 19, 'expected extend or pause or promote or abort, found "stop"'),
        ("5%, on inconclusive extend", 1, 21, 'expected pause or promote or abort, found "extend"'),
        ("5%\n10%\n\n  20% four 10m", 4, 7, 'expected a comma or the end of the line, found "four"'),
        ("5% \x07", 1, 4, 'expected a comma or the end of the line, found "?"'),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(BadCanary) as found:
        parse(text)
    assert (found.value.line, found.value.column) == (line, column)
    where = f"line {line}, column {column}" if line > 1 else f"column {column}"
    assert str(found.value) == f"{where}: {message}"


def test_a_text_without_end_is_not_read() -> None:
    with pytest.raises(BadCanary, match="5000 characters, 4096 are the limit"):
        parse("5" * 5000)


def test_too_many_stages() -> None:
    assert len(parse(", ".join(f"{n}%" for n in range(1, 51))).stages) == 50
    with pytest.raises(BadCanary, match="50 are the limit"):
        parse(", ".join(f"{n}%" for n in range(1, 52)))


def test_a_stage_becomes_a_weight_and_an_analysis() -> None:
    found = strategy(parse("5% for 10m, 25% until promoted, errors < 1%, sticky by cookie session"))
    first, second = found.steps[1], found.steps[3]
    assert found.kind == "Canary"
    assert [found.steps[n] for n in (0, 2, 4)] == [SetWeight(500), SetWeight(2500), Pause()]
    assert isinstance(first, Analyse) and isinstance(second, Analyse)
    assert first.analysis.judge == Judge(error_limit=0.01, min_seconds=600.0, max_seconds=1800.0)
    assert second.analysis.judge == Judge(error_limit=0.01)
    assert found.sticky == Stickiness("cookie", "session")


@pytest.mark.parametrize(
    ("text", "least", "most", "warmup"),
    [
        ("5%", 600, 1800, 60),
        ("5% for 1h", 3600, 10800, 60),
        ("5% for 1m", 60, 1800, 30),
        ("5% for 1m, warmup 60s", 60, 1800, 60),
        ("5%, at most 5m", 300, 300, 60),
        ("5% for 20d", 20 * 86400, 30 * 86400, 60),
    ],
)
def test_how_long_a_stage_is_judged(text: str, least: float, most: float, warmup: float) -> None:
    step = strategy(parse(text)).steps[1]
    assert isinstance(step, Analyse) and step.analysis.judge
    judge = step.analysis.judge
    assert (judge.min_seconds, judge.max_seconds, judge.warmup_seconds) == (least, most, warmup)


def test_every_rule_reaches_the_judge() -> None:
    text = (
        "5%, errors < 1%, slow < 5%, only slow, at most 1h, interval 5s, warmup 20s, alpha 0.02, tolerance 2, "
        "effect 0.5pp, margin 2pp, guard 50% over 30 requests, on no traffic promote, on inconclusive abort"
    )
    step = strategy(parse(text)).steps[1]
    assert isinstance(step, Analyse)
    assert step.analysis.judge == Judge(
        metrics=("slow",), interval_seconds=5, warmup_seconds=20, min_seconds=600, max_seconds=3600, alpha=0.02,
        tolerance=2, min_effect=0.005, margin=0.02, error_limit=0.01, slow_limit=0.05, guard_share=0.5,
        guard_requests=30, on_no_traffic="promote", on_inconclusive="abort",
    )  # fmt: skip


# Properties: texts in any spelling.

SECONDS = st.integers(1, 3 * 86400)
_GAP = st.sampled_from(["", " ", "  ", "\t"])
_SOME = st.sampled_from([" ", "  ", " \t"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    weights = sorted(draw(st.sets(st.integers(1, 10_000), min_size=1, max_size=5)))
    parts = [draw(_stages(weight)) for weight in weights]
    rules = draw(st.lists(st.sampled_from(sorted(_RULES)), unique=True, max_size=len(_RULES)))
    parts += [draw(_RULES[name]) for name in rules]
    text = parts[0]
    for part in parts[1:]:
        text += draw(st.sampled_from([",", ", ", " , ", "\n", ",\n  ", "\n\n", " \r\n"])) + part
    return draw(st.sampled_from(["", " ", "\n"])) + text + draw(st.sampled_from(["", " ", "\n"]))


@st.composite
def _stages(draw: st.DrawFn, weight: int) -> str:
    text = f"{weight // 100}.{weight % 100:02}%" if weight % 100 else f"{weight // 100}%"
    if draw(st.booleans()):
        text += f"{draw(_SOME)}for{draw(_SOME)}{draw(_durations())}"
    return text + (f"{draw(_SOME)}until{draw(_SOME)}promoted" if draw(st.booleans()) else "")


def _durations() -> st.SearchStrategy[str]:
    return st.one_of(SECONDS.map("{}s".format), st.integers(1, 500).map("{}m".format), st.just("1h30m"), st.just("2d"))


def _shares(most: int = 1000) -> st.SearchStrategy[str]:
    return st.integers(1, most).flatmap(
        lambda n: st.sampled_from([f"{n / 10:g}%", f"{n / 10:g}pp", f"{n / 10:g} %", f"{n / 1000:g}"])
    )


_RULES: dict[str, st.SearchStrategy[str]] = {
    "errors": st.builds("errors{}<{}{}".format, _GAP, _GAP, _shares()),
    "slow": st.builds("slow{}<{}{}".format, _GAP, _GAP, _shares()),
    "only": st.builds("only{}{}".format, _SOME, st.sampled_from(["errors", "slow"])),
    "sticky": st.builds("sticky by{}{}".format, _SOME, st.sampled_from(["cookie a!b", "header X-A", "client"])),
    "most": st.just("at most 30d"),
    "interval": st.builds("interval{}{}s".format, _SOME, st.integers(1, 600)),
    "warmup": st.builds("warmup{}{}m".format, _SOME, st.integers(0, 1440)),
    "alpha": st.builds("alpha{}{}".format, _SOME, _shares(250)),
    "tolerance": st.builds("tolerance{}{}".format, _SOME, st.sampled_from(["1", "1.25", "100.0"])),
    "effect": st.builds("effect{}{}".format, _SOME, _shares()),
    "margin": st.builds("margin{}{}".format, _SOME, _shares()),
    "slower": st.builds("slow{}margin{}{}".format, _SOME, _SOME, _shares()),
    "guard": st.builds("guard{}{} over {} requests".format, _SOME, _shares(), st.integers(1, 1_000_000)),
    "traffic": st.sampled_from(["on no traffic pause", "on no  traffic\textend"]),
    "doubt": st.sampled_from(["on inconclusive abort", "on inconclusive promote"]),
}


@QUICKLY
@given(texts())
def test_what_is_printed_reads_back_to_the_same(text: str) -> None:
    found = parse(text)
    printed = render(found)
    assert parse(printed) == found
    assert render(parse(printed)) == printed
    assert strategy(parse(printed)) == strategy(found)


@QUICKLY
@given(st.text(alphabet="15%0 .,\n<forminutlpedsckyb-errorsal2h", max_size=60))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    try:
        found = parse(text)
    except BadCanary as wrong:
        lines = text.split("\n")
        assert 1 <= wrong.line <= len(lines)
        assert 1 <= wrong.column <= len(lines[wrong.line - 1]) + 1
    else:
        assert isinstance(found, Canary) and isinstance(found.stages[0], Stage)


@QUICKLY
@given(texts(), st.data())
def test_a_text_with_a_piece_cut_out_never_breaks_the_reader(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    try:
        parse(text[:start] + text[end:])
    except BadCanary as wrong:
        assert wrong.line >= 1 and wrong.column >= 1
