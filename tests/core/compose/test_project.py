"""Variables, env files, overrides, extends and profiles: what a project is before it is mapped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.compose.variables import NoValue, read_env, substitute
from tests.core.compose.projects import converted, service

VALUES = {"A": "1", "EMPTY": "", "B": "two"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "1"), ("${A}", "1"), ("x$A-${B}y", "x1-twoy"), ("$$A", "$A"), ("$$$A", "$1"), ("a$$", "a$"),
        ("${A:-z}", "1"), ("${EMPTY:-z}", "z"), ("${EMPTY-z}", ""), ("${GONE-z}", "z"), ("${GONE:-}", ""),
        ("${GONE:-${B}}", "two"), ("${GONE:-${ALSO:-deep}}", "deep"), ("${A:+z}", "z"), ("${EMPTY:+z}", ""),
        ("${EMPTY+z}", "z"), ("${GONE+z}", ""), ("${A:?no}", "1"), ("${GONE:-a}b}", "ab}"), ("${GONE:-$$}", "$"),
    ],
)  # fmt: skip
def test_variables(text: str, value: str) -> None:
    assert substitute(text, VALUES) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("$GONE", "the variable GONE has no value"), ("${GONE}", "the variable GONE has no value"),
        ("${GONE:?set it}", "GONE is required: set it"), ("${EMPTY:?}", "EMPTY is required: "),
        ("${A", "has a '${' without its '}'"), ("${}", "has a ${...} without a name of a variable"),
        ("a$ b", "has a '$' that begins no variable"), ("${A!}", "${A!} is not a form that Compose knows"),
        ("${A:-" * 30 + "}" * 30, ""),
    ],
)  # fmt: skip
def test_variables_without_a_value(text: str, sentence: str) -> None:
    if not sentence:
        assert substitute(text, VALUES) == "1"
        with pytest.raises(NoValue, match="nests variables too deeply"):
            substitute(text.replace("A", "GONE"), VALUES)
        return
    with pytest.raises(NoValue) as why:
        substitute(text, VALUES)
    assert why.value.message == sentence


@given(st.text(alphabet="${}AB:-?+ \n", max_size=40))
def test_any_text_is_answered(text: str) -> None:
    try:
        assert isinstance(substitute(text, VALUES), str)
    except NoValue as why:
        assert why.message
        assert why.remedy


def test_a_value_that_grows_without_end_is_refused() -> None:
    with pytest.raises(NoValue, match="grows beyond 1 MiB"):
        substitute("$A" * 20, {"A": "x" * 100_000})


def read(text: str | bytes) -> tuple[dict[str, str | None], list[tuple[int, str]]]:
    wrong: list[tuple[int, str]] = []
    data = text if isinstance(text, bytes) else text.encode()
    return read_env(data, {"HOST": "h"}, lambda line, message, _: wrong.append((line, message))), wrong


def test_an_env_file_is_read_as_compose_reads_it() -> None:
    text = """
# comment
A=1
export B = two words   # and a comment
C='as $it is # all'
D="with $A, ${HOST} and \\n \\"quotes\\" and \\$A"
E=
F: colon
G="several
lines"
H
I=a#b
"""
    assert read(text) == ({
        "A": "1", "B": "two words", "C": "as $it is # all", "D": 'with 1, h and \n "quotes" and $A', "E": "",
        "F": "colon", "G": "several\nlines", "H": None, "I": "a#b",
    }, [])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("A=1\n- b", (2, "is not a line of an env file")), ("A=$GONE", (1, "the variable GONE has no value")),
        ('A="open', (1, 'has a " without its end')), (b"A=1\nB=\xff", (2, "is not UTF-8 text")),
        ("what is this", (1, "is not a line of an env file")),
    ],
)  # fmt: skip
def test_an_env_file_that_is_wrong(text: str | bytes, wrong: tuple[int, str]) -> None:
    assert read(text)[1] == [wrong]


def test_variables_come_from_the_repository_alone() -> None:
    assert service("hostname: $HOME").errors == [
        "compose.yaml:4: services.web.hostname: the variable HOME has no value (write HOME=... into the .env file "
        "beside the Compose file, or a default: ${HOME:-default})"
    ]
    found = service("hostname: $NAME-${COMPOSE_PROJECT_NAME:-x}\nscale: ${N:-3}", {".env": "NAME=api\nN=2"})
    assert found.pod["hostname"] == "api-x"
    assert found.objects["Deployment web"]["spec"]["replicas"] == 2


def test_what_is_wrong_in_env_is_told_there() -> None:
    assert service("tty: true", {".env": "A=1\n%%"}).errors == [
        ".env:2: is not a line of an env file (write NAME=value)"
    ]


def test_an_override_is_merged() -> None:
    override = (
        "services:\n  web:\n    command: [b]\n    environment: [B=2, C=3]\n    ports: ['80:81', '443:443']\n"
        "    tmpfs: [/t]\n    deploy: {replicas: 3}\n  more: {image: m}\n"
    )
    fields = "command: [a, a]\nenvironment: {A: 1, B: 1}\nports: ['80:81', '90:90']\ntmpfs: [/s]\n" \
             "deploy: {labels: {a: b}}"  # fmt: skip
    found = service(fields, {"compose.override.yaml": override})
    assert not found.errors
    assert found.container["args"] == ["b"]
    assert {one["name"]: one["value"] for one in found.container["env"]} == {"A": "1", "B": "2", "C": "3"}
    assert [one["port"] for one in found.objects["Service web-published"]["spec"]["ports"]] == [80, 90, 443]
    assert [one["mountPath"] for one in found.container["volumeMounts"]] == ["/s", "/t"]
    assert found.objects["Deployment web"]["spec"]["replicas"] == 3
    assert found.objects["Deployment web"]["metadata"]["annotations"] == {"a": "b"}
    assert "Deployment more" in found.objects


def test_errors_are_told_in_the_file_that_they_stand_in() -> None:
    override = "services:\n  web:\n    ulimits: {nofile: 1}\n"
    assert [one.split(":")[:2] for one in service("", {"compose.override.yaml": override}).errors] == [
        ["compose.override.yaml", "3"]
    ]


def test_extends_from_this_file_and_others_with_paths_of_their_own() -> None:
    common = "services:\n  base: {extends: root, tty: true, env_file: a.env}\n  root: {image: r, hostname: h}\n"
    text = "services:\n  web: {extends: {service: base, file: common/base.yaml}, hostname: mine}\n  b: {extends: web}\n"
    found = converted(text, {"common/base.yaml": common, "common/a.env": "A=1"})
    assert not found.errors
    assert (found.container["image"], found.container["tty"], found.pod["hostname"]) == ("r", True, "mine")
    assert found.objects["Secret b-env"]["data"] == {"A": "MQ=="}


def test_a_circle_of_extends_over_files_is_refused() -> None:
    other = "services: {b: {extends: {service: web, file: ../compose.yaml}}}\n"
    text = "services: {web: {image: a, extends: {service: b, file: x/b.yaml}}}\n"
    assert "extends itself, by way of" in converted(text, {"x/b.yaml": other}).errors[0]


def test_profiles_are_chosen_in_env() -> None:
    text = "services: {a: {image: a}, b: {image: b, profiles: [debug]}, c: {image: c, profiles: [x, y]}}\n"
    found = converted(text, {".env": "COMPOSE_PROFILES=y,z"})
    assert list(found.objects) == ["Deployment a", "Deployment c"]
    assert len(found.warnings) == 1


def test_anchors_and_extensions() -> None:
    text = (
        "x-common: &common {restart: always, environment: {A: $GONE_BUT_UNUSED}}\n"
        "services:\n  a:\n    <<: *common\n    image: a\n    environment: {A: 1}\n    x-note: for people\n"
    )
    found = converted(text)
    assert not found.errors
    assert found.objects["Deployment a"]["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"}
    ]
