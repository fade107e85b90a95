"""Who is dead: a cluster sketched as a person would, and what the judge makes of it.

a..   answers               a!!!  has missed three pings         a!    has missed one
b->a  b's router sees a     b-xa  it does not                    b-?a  it does not know yet
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import param

from deployer.core.heartbeat import Pulse, beat
from deployer.core.survival.judge import (
    FRESH_SECONDS,
    LONELY_SECONDS,
    NOTICE_SECONDS,
    PATIENCE_SECONDS,
    SETTLED_SECONDS,
    Finding,
    Host,
    Statement,
    find,
)
from deployer.core.survival.states import CUT_OFF, DEAD, READY, RETURNING, UNKNOWN

NOW = 1_000_000.0
MISSED = "3 heartbeats were missed (no answer within 1 s)"
SILENT = 5.0
WORDS = {"->": True, "-x": False, "-?": None}


def hosts(sketch: str, **changes: dict[str, object]) -> list[Host]:
    """`changes`: of the host of that name."""
    made = []
    for word in sketch.split():
        name, rest = word[0], word[1:]
        answered = Pulse(answered_at=NOW, answering_since=NOW - 60)
        silent = Pulse(len(rest), "no answer within 1 s", NOW - SILENT, NOW - SILENT - 1)
        made.append(replace(Host(name, name, answered if rest == ".." else silent), **changes.get(name, {})))  # type: ignore[arg-type]
    return made


def statements(sketch: str, at: float = NOW) -> dict[str, Statement]:
    said: dict[str, dict[str, bool | None]] = {}
    for word in sketch.split():
        said.setdefault(word[0], {})[word[3]] = WORDS[word[1:3]]
    return {name: Statement(at, sees) for name, sees in said.items()}


def states(found: dict[str, Finding]) -> str:
    return " ".join(f"{name}:{one.state}" for name, one in sorted(found.items()))


@pytest.mark.parametrize(
    ("sketch", "said", "expected"),
    [
        param("a.. b.. c..", "", "a:EngineReady b:EngineReady c:EngineReady", id="all answer"),
        param("a!! b.. c..", "b-xa c-xa", "a:EngineReady b:EngineReady c:EngineReady", id="two misses say nothing"),
        param("a!!! b.. c..", "b-xa c-xa", "a:Dead b:EngineReady c:EngineReady", id="three, and no peer sees it"),
        param("a!!! b.. c..", "b->a c->a", "a:CutOff b:EngineReady c:EngineReady", id="its peers see it"),
        param("a!!! b.. c..", "b-xa c->a", "a:CutOff b:EngineReady c:EngineReady", id="one peer is enough"),
        param("a!!! b.. c..", "b-xa", "a:Unknown b:EngineReady c:EngineReady", id="one has not spoken"),
        param("a!!! b.. c..", "b-xa c-?a", "a:Unknown b:EngineReady c:EngineReady", id="one does not know yet"),
        param("a!!! b.. c..", "b-xa c-xb", "a:Dead b:EngineReady c:EngineReady", id="one that does not watch it"),
        param("a!!! b.. c..", "", "a:Unknown b:EngineReady c:EngineReady", id="nobody has spoken"),
        param("a!!! b..", "b-xa", "a:Dead b:EngineReady", id="one peer is all there is"),
        param("a!!! b!!! c..", "c-xa c-xb", "a:Dead b:Dead c:EngineReady", id="two of three"),
        param("a!!! b!!! c..", "c->a c-xb a->b", "a:CutOff b:Dead c:EngineReady", id="the silent are not believed"),
        param("a!!! b!!! c!!!", "b->a c-xa", "a:CutOff b:CutOff c:CutOff", id="all at once: we are cut off"),
        param("a!!!", "", "a:CutOff", id="the only host"),
        param("a!!! b!! c!", "", "a:EngineReady b:EngineReady c:EngineReady", id="not known yet whether all are away"),
    ],
)
def test_what_the_witnesses_make_of_a_host(sketch: str, said: str, expected: str) -> None:
    assert states(find(hosts(sketch), statements(said), NOW)) == expected


@pytest.mark.parametrize(
    ("sketch", "said", "message"),
    [
        ("a!!! b.. c..", "b-xa c-xa", f"{MISSED}; none of 2 peers sees it either"),
        ("a!!! b..", "b-xa", f"{MISSED}; its peer does not see it either"),
        ("a!!! b.. c..", "b-xa c->a",
         f"{MISSED}; 1 of 2 peers sees it, so its pods are left alone"),
        ("a!!! b.. c..", "b-xa",
         f"{MISSED}; waiting for the word of c"),
        ("a!!! b!!!", "",
         f"{MISSED}; none of 2 hosts answers, so this control plane is cut off: nothing is moved"),
        ("a!!!", "",
         f"{MISSED}; it is the only host, so nobody else can be asked and nothing can be moved"),
    ],
)  # fmt: skip
def test_what_a_person_reads(sketch: str, said: str, message: str) -> None:
    assert find(hosts(sketch), statements(said), NOW)["a"].message == message


def test_a_peer_that_does_not_speak_is_waited_for_and_not_for_ever() -> None:
    waited = NOW - SILENT + NOTICE_SECONDS + PATIENCE_SECONDS
    sketch = hosts("a!!! b.. c..")
    assert find(sketch, statements("b-xa", waited - 0.1), waited - 0.1)["a"].state == UNKNOWN
    assert find(sketch, statements("b-xa", waited), waited)["a"].state == DEAD


def test_a_host_that_no_peer_can_tell_of_is_dead_after_a_long_silence() -> None:
    sketch, since = hosts("a!!! b.."), NOW - SILENT
    assert find(sketch, {}, since + LONELY_SECONDS - 0.1)["a"].state == UNKNOWN
    found = find(sketch, {}, since + LONELY_SECONDS)["a"]
    assert found.state == DEAD
    assert found.message.endswith("for 30 s, and none of 1 peers could be asked whether it is there")


def test_a_peer_that_cannot_have_noticed_yet_is_asked_again() -> None:
    sketch, since = hosts("a!!! b.."), NOW - SILENT
    early, late = since + NOTICE_SECONDS - 0.1, since + NOTICE_SECONDS
    assert find(sketch, statements("b->a", early), early)["a"].state == READY
    assert find(sketch, statements("b->a", late), late)["a"].state == CUT_OFF


def test_a_peer_that_was_cut_off_itself_is_not_believed_at_once() -> None:
    """Two hosts come back one after the other: the first one has not seen the second one yet."""
    back = {"b": {"pulse": Pulse(answered_at=NOW, answering_since=NOW - 1)}}
    assert find(hosts("a!!! b..", **back), statements("b-xa"), NOW)["a"].state == UNKNOWN
    assert find(hosts("a!!! b..", **back), statements("b->a"), NOW)["a"].state == CUT_OFF
    settled = {"b": {"pulse": Pulse(answered_at=NOW, answering_since=NOW - SETTLED_SECONDS)}}
    assert find(hosts("a!!! b..", **settled), statements("b-xa"), NOW)["a"].state == DEAD


def test_old_words_are_no_statement() -> None:
    said = statements("b->a c-xa", NOW - FRESH_SECONDS - 0.1)
    assert find(hosts("a!!! b.. c.."), said, NOW)["a"].state == UNKNOWN


@pytest.mark.parametrize(
    ("sketch", "said", "state"),
    [
        param("a!!! b..", "", DEAD, id="its peer's router begins anew and does not know"),
        param("a!!! b!!!", "", DEAD, id="we are cut off from the rest as well"),
        param("a!!! b..", "b->a", CUT_OFF, id="a peer sees it again"),
        param("a! b..", "b-xa", DEAD, id="one miss of a watcher that has only just started"),
        param("a.. b..", "b-xa", RETURNING, id="it answers: what it holds is read first"),
    ],
)
def test_once_dead(sketch: str, said: str, state: str) -> None:
    before = {"a": {"state": DEAD, "message": "it is dead", "read_at": 0.0}}
    assert find(hosts(sketch, **before), statements(said), NOW)["a"].state == state


def test_a_watcher_that_has_only_just_started_concludes_nothing() -> None:
    fresh = [replace(one, pulse=Pulse()) for one in hosts("a.. b..", b={"state": DEAD, "read_at": 0.0})]
    assert states(find(fresh, {}, NOW)) == "a:EngineReady b:Dead"


def test_an_operators_word_counts_for_a_host_that_is_silent_only() -> None:
    dead = {"a": {"declared_dead": True}}
    assert find(hosts("a!!! b..", **dead), statements("b->a"), NOW)["a"].state == DEAD
    assert find(hosts("a.. b..", **dead), {}, NOW)["a"].state == READY


@pytest.mark.parametrize(
    ("answers", "misses", "seen"),
    [("", 0, False), (".", 0, True), (".!", 1, False), ("!!!", 3, False), ("!!!.", 0, True), ("!!.!", 1, False)],
)
def test_a_pulse(answers: str, misses: int, seen: bool) -> None:
    pulse = Pulse()
    for second, answer in enumerate(answers):
        pulse = beat(pulse, "" if answer == "." else "silence", NOW + second, NOW + second + 1)
    assert (pulse.misses, pulse.is_answered) == (misses, seen)


def test_silence_began_with_the_first_ping_that_was_missed() -> None:
    pulse = beat(beat(beat(Pulse(), "", 1, 2), "a", 3, 4), "b", 5, 6)
    assert (pulse.silent_since, pulse.answered_at, pulse.failure) == (3, 2, "b")


words = st.sampled_from([True, False, None])


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Host], dict[str, Statement]]:
    names = "abcdefg"[: draw(st.integers(1, 7))]
    sketch = " ".join(name + draw(st.sampled_from(["..", "!", "!!", "!!!", "!!!!!!"])) for name in names)
    state = st.sampled_from([READY, UNKNOWN, CUT_OFF, DEAD])
    made = hosts(sketch, **{name: {"state": draw(state)} for name in names})
    said = {
        name: Statement(NOW - draw(st.floats(0, 6)), {peer: draw(words) for peer in names if peer != name})
        for name in names
        if draw(st.booleans())
    }
    return made, said


@given(clusters())
def test_nobody_newly_dies_whom_a_believed_peer_sees(cluster: tuple[list[Host], dict[str, Statement]]) -> None:
    made, said = cluster
    found = find(made, said, NOW)
    answering = {host.uid for host in made if host.is_seen}
    for host in made:
        seen_by = [
            uid for uid, one in said.items()
            if uid in answering and one.sees.get(host.uid) and NOW - one.at <= FRESH_SECONDS
        ]  # fmt: skip
        if found[host.uid].state == DEAD:
            assert not seen_by
            assert not host.is_seen
            assert answering or host.state == DEAD


@given(clusters(), st.randoms())
def test_the_order_of_hosts_does_not_matter(cluster, random) -> None:  # type: ignore[no-untyped-def]
    made, said = cluster
    other = list(made)
    random.shuffle(other)
    assert find(made, said, NOW) == find(other, said, NOW)
