"""Image references, patterns, policies and what is chosen by them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.images.pattern import BadPattern, parse_pattern
from deployer.core.images.policy import BadPolicy, choose, parse_policies
from deployer.core.images.reference import BadReference, parse_reference

QUICKLY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", "", ""),
        ("nginx:1.25", "docker.io", "library/nginx", "1.25", ""),
        ("shop/web:1", "docker.io", "shop/web", "1", ""),
        ("docker.io/nginx", "docker.io", "library/nginx", "", ""),
        ("index.docker.io/shop/web", "docker.io", "shop/web", "", ""),
        ("ghcr.io/shop/web:1.2@" + DIGEST, "ghcr.io", "shop/web", "1.2", DIGEST),
        ("localhost:5000/web:1", "localhost:5000", "web", "1", ""),
        ("localhost/web", "localhost", "web", "", ""),
        ("10.0.0.1:5000/a/b/c", "10.0.0.1:5000", "a/b/c", "", ""),
        ("web@" + DIGEST, "docker.io", "library/web", "", DIGEST),
    ],
)
def test_reference(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)
    assert str(found) == text


@pytest.mark.parametrize(
    "text", ["", "Web:1", "web:", "web:a b", "web@sha256:1", "-x/y", "a/../b", "a//b", "http://a/b", "a" * 2000, "a\nb"]
)
def test_bad_reference(text: str) -> None:
    with pytest.raises(BadReference):
        parse_reference(text)


@pytest.mark.parametrize(
    ("pattern", "tag", "numbers"),
    [
        ("{number}", "12", (12,)),
        ("{number}", "12a", None),
        ("build-{number}", "build-007", (7,)),
        ("build-{number}", "build-", None),
        ("main-*-{number}", "main-abc-def-12", (12,)),
        ("main-*-{number}", "main-12", None),
        ("main-{number}-*", "main-20240102-abc", (20240102,)),
        ("*{number}", "rc12", (12,)),
        ("*{number}*", "a1b22c", (1,)),
        ("{number}*{number}", "12", None),
        ("{number}.{number}", "1.10", (1, 10)),
        ("*-{number}-*x", "a-1-b-2-cx", (1,)),
        ("{number}T{number}Z", "20240102T101112Z", (20240102, 101112)),
        ("*" * 60 + "{number}", "a" * 127 + "1", (1,)),
    ],
)
def test_pattern(pattern: str, tag: str, numbers: tuple[int, ...] | None) -> None:
    assert parse_pattern(pattern).numbers(tag) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("main-*", "the pattern lacks {number}: a registry does not say which tag is the newest"),
        ("main-(a+)+{number}", "a pattern is made of a tag's characters, * and {number}"),
        ("{number}{number}", "two {number} need something between them"),
        ("x" * 129, "the pattern has 129 characters; at most 128 are read"),
    ],
)
def test_bad_pattern(text: str, message: str) -> None:
    with pytest.raises(BadPattern, match="^" + message.replace("(", r"\(").replace("*", r"\*")):
        parse_pattern(text)


@given(st.lists(st.sampled_from(["a", "-", "1", "*", "{number}"]), max_size=6), st.text(alphabet="a-12", max_size=8))
@QUICKLY
def test_a_pattern_matches_what_the_regular_expression_would(parts: list[str], tag: str) -> None:
    """The oracle may take its time: these are short."""
    import re

    try:
        pattern = parse_pattern("".join(parts))
    except BadPattern:
        return
    words = {"*": ".*", "{number}": r"(?<![0-9])[0-9]+(?![0-9])"}
    expression = "".join(words.get(one, re.escape(one)) for one in pattern.parts)
    assert (pattern.numbers(tag) is not None) == (re.fullmatch(expression, tag) is not None)


def test_policies_say_what_is_followed_and_how() -> None:
    text = (
        "web=semver:>=1.2, <2, every 30m\n side = digest ; job=newest:main-{number}, pin, every 1d;"
        "db=semver:16, suffix -alpine"
    )
    web, side, job, db = parse_policies(text)
    assert (web.container, web.rule, web.every_seconds, web.commits) == ("web", "semver:>=1.2, <2", 1800, True)
    assert (side.container, side.kind, side.every_seconds, side.commits) == ("side", "digest", 600, False)
    assert (job.container, job.kind, job.every_seconds, job.commits) == ("job", "newest", 86400, False)
    assert (db.suffix, db.commits) == ("-alpine", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: there is no policy; write CONTAINER=semver:RANGE, =newest"),
        ("web", "column 1: a policy begins with a container's name and '=', such as web=semver:^1.2"),
        ("Web=digest", "column 1: a policy begins with"),
        ("web=latest", "column 5: the rule must be semver:RANGE, newest:PATTERN or digest"),
        ("web=digest:x", "column 5: the rule must be"),
        ("web=semver:", "column 12: semver: needs a range, such as ^1.2"),
        ("web=semver: ^1 || foo", 'column 19: "foo" is not a version or a range'),
        ("web=digest;\n job=newest:main", "line 2, column 13: the pattern lacks {number}"),
        ("web=digest; web=digest", "column 13: container web has a policy already"),
        ("web=digest, every 5s", "column 13: a registry is asked every 1m at most, and every 30d at least"),
        ("web=digest, every soon", "column 13: every needs a duration, such as 10m or 6h"),
        ("web=digest, fast", "column 13: the options are: every DURATION, commit, pin, and of semver: suffix TEXT"),
        ("web=digest, suffix -a", "column 13: the options are"),
        ("web=semver:^1, suffix a b", "column 16: suffix needs the end of a tag, such as -alpine"),
        ("x" * 5000, "column 1: the policies have 5000 characters; at most 4096 are read"),
        (";".join(f"c{number}=digest" for number in range(33)), "column 1: there are 33 policies; at most 32 are read"),
    ],
)
def test_bad_policies(text: str, message: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        parse_policies(text)
    assert str(caught.value).startswith(message)


@given(st.text(alphabet="webjob=;:,\n ^1.2*{}numersvdigt|", max_size=40))
@QUICKLY
def test_any_text_is_a_policy_or_is_refused_at_a_place_in_it(text: str) -> None:
    try:
        parse_policies(text)
    except BadPolicy as wrong:
        lines = text.split("\n")
        assert 1 <= wrong.line <= len(lines)
        assert 1 <= wrong.column <= len(lines[wrong.line - 1]) + 1


@pytest.mark.parametrize(
    ("rule", "current", "tags", "tag", "why"),
    [
        ("semver:^1.2", "web:1.2.0", "1.2.0 1.3.0 1.10.0 2.0.0 latest", "1.10.0", ""),
        ("semver:^1.2", "web:1.2.0", "1.2.0 1.3.0-rc.1", "1.2.0", "1.2.0 is the newest within semver:^1.2"),
        ("semver:1.x", "web:1.2", "1 1.2 1.2.3", "1.2.3", ""),
        ("semver:1.x", "web:1", "1 1.0 1.0.0", "1.0.0", ""),
        ("semver:^1", "web:1.5.0", "1.4.0", "1.4.0", "1.5.0 is newer than 1.4.0, the newest within semver:^1; an "
         "update never goes back"),
        ("semver:<2", "web:3.0.0", "1.0.0", "1.0.0", "3.0.0 is newer than 1.0.0, the newest within semver:<2; an "
         "update never goes back"),
        ("semver:^1", "web", "1.4.0 latest", "1.4.0", ""),
        ("semver:^1", "web:main", "2.0.0", "", "none of the registry's tags is within semver:^1"),
        ("semver:^1, suffix -alpine", "web:1.1.0-alpine", "1.2.0 1.1.0-alpine 1.1.5-alpine", "1.1.5-alpine", ""),
        ("newest:main-{number}", "web:main-9", "main-9 main-10 main-08 dev-99", "main-10", ""),
        ("newest:main-{number}", "web:main-11", "main-10", "main-10",
         "main-11 is newer than main-10, the newest within "
         "newest:main-{number}; an update never goes back"),
        ("newest:{number}-{number}", "web:x", "1-2 1-10 0-99", "1-10", ""),
    ],
)  # fmt: skip
def test_choice(rule: str, current: str, tags: str, tag: str, why: str) -> None:
    (policy,) = parse_policies(f"web={rule}")
    found = choose(policy, parse_reference(current), tags.split())
    assert (found.tag, found.why, found.newer) == (tag, why, not why)


@given(
    st.sampled_from(["semver:^1", "semver:*", "newest:{number}.*", "newest:v{number}"]),
    st.lists(st.from_regex(r"v?[0-3](\.[0-3]){0,2}(-a)?", fullmatch=True), max_size=8),
    st.sampled_from(["web:1.0.0", "web:v2", "web", "web:3.1"]),
)
@QUICKLY
def test_what_is_chosen_is_there_and_choosing_again_changes_nothing(rule: str, tags: list[str], current: str) -> None:
    (policy,) = parse_policies(f"web={rule}")
    reference = parse_reference(current)
    found = choose(policy, reference, tags)
    assert not found.tag or found.tag in tags
    if found.newer:
        again = choose(policy, reference.at(found.tag), tags)
        assert (again.tag, again.newer) == (found.tag, False)
