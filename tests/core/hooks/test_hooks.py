"""Deliveries of every provider: whole, tampered with, malformed; and what is to come of each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.hooks import signatures
from deployer.core.hooks.judgement import check_source, commit_of, judge, repeated
from deployer.core.hooks.limits import Bucket, Rate
from deployer.core.hooks.masking import LONGEST, masked
from deployer.core.hooks.payloads import MOST_PUSHES, follows
from deployer.core.hooks.providers import PROVIDERS
from deployer.core.hooks.values import HookRefused, Judgement, Push, Received
from tests.core.hooks import samples
from tests.core.hooks.samples import NOW, SAMPLES, SEALED, SECRET, delivery, secret_of

PROOF = {"azure": "authorization"}
MOVED = {
    "github": "59b20b8", "gitlab": "da15608", "gitea": "bffeb74", "forgejo": "bffeb74", "bitbucket": "709d658",
    "bitbucket-server": "178864a", "azure": "33b55f7", "generic": "33b55f7",
}  # fmt: skip


def judged(provider: str, received: Received, followed: str = "main", *secrets: str) -> Judgement:
    return judge(PROVIDERS[provider], received, secrets or (secret_of(provider),), followed)


# --- the vectors that are published ---


def test_the_signatures_are_those_of_the_documentation() -> None:
    github = Received({"x-hub-signature-256": (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )}, b"Hello, World!", NOW)  # fmt: skip
    assert PROVIDERS["github"].proof(github, SECRET)
    bitbucket = Received({"x-hub-signature": (
        "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    )}, b"Hello World!", NOW)  # fmt: skip
    assert PROVIDERS["bitbucket"].proof(bitbucket, SECRET)
    standard = Received({
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,wrong v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }, b'{"test": 2432232314}', 1614265330.0)  # fmt: skip
    assert PROVIDERS["generic"].proof(standard, SEALED) and PROVIDERS["gitlab"].proof(standard, SEALED)


# --- whole ---


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_push_is_accepted(provider: str) -> None:
    found = judged(provider, delivery(provider))
    assert (found.status, found.accepted, found.secret) == (202, True, 0), found.sentence
    assert commit_of(found.pushes, "main").startswith(MOVED[provider])
    assert found.delivery == (samples.AZURE["id"] if provider == "azure" else samples.IDENTITY)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_push_elsewhere_is_nothing_to_look_at(provider: str) -> None:
    found = judged(provider, delivery(provider), "production")
    assert (found.status, found.accepted) == (200, False)
    assert "production is followed here" in found.sentence


def test_all_refs_of_a_push_count() -> None:
    found = judged("bitbucket", delivery("bitbucket"), "v1.0")
    assert [one.ref for one in found.pushes] == ["refs/heads/gone", "refs/heads/main", "refs/tags/v1.0"]
    assert found.accepted and found.pushes[0].commit == ""
    system = delivery("gitlab", samples.GITLAB_SYSTEM, event="System Hook")
    assert judged("gitlab", system).accepted and judged("gitlab", system, "topic").accepted


def test_a_tag_that_is_gone_is_a_push() -> None:
    found = judged("github", delivery("github", samples.GITHUB_TAG_GONE), "simple-tag")
    assert found.accepted and found.pushes == (Push("refs/tags/simple-tag"),)


def test_a_form_is_read_as_json_is() -> None:
    from urllib.parse import urlencode

    body = urlencode({"payload": json.dumps(samples.GITHUB)}).encode()
    one = delivery("github", body=body)
    form = replace(one, headers={**one.headers, "content-type": "application/x-www-form-urlencoded"})
    assert judged("github", form).accepted


def test_gitlabs_older_token_is_a_proof() -> None:
    one = delivery("gitlab")
    plain = {key: value for key, value in one.headers.items() if not key.startswith("webhook-")}
    assert judged("gitlab", replace(one, headers={**plain, "x-gitlab-token": SEALED})).accepted
    assert judged("gitlab", replace(one, headers={**plain, "x-gitlab-token": SEALED[:-1]})).status == 401
    assert judged("gitlab", replace(one, headers={**one.headers, "webhook-signature": "v1,x",
                                                  "x-gitlab-token": SEALED})).status == 401  # fmt: skip


@pytest.mark.parametrize(("provider", "event", "payload"), [
    ("github", "ping", {"zen": "Design for failure.", "hook_id": 1}),
    ("bitbucket-server", "diagnostics:ping", {"test": True}),
    ("bitbucket-server", "repo:refs_changed", {"test": True}),
    ("generic", "", {"type": "ping"}),
])  # fmt: skip
def test_a_greeting_is_answered(provider: str, event: str, payload: Any) -> None:
    found = judged(provider, delivery(provider, payload, event=event))
    assert (found.status, found.accepted) == (200, False) and "Pierhead is here" in found.sentence


@pytest.mark.parametrize(("provider", "event", "payload"), [
    ("github", "pull_request", {"action": "closed"}), ("gitlab", "Merge Request Hook", {}),
    ("bitbucket", "pullrequest:fulfilled", {}), ("azure", "", {"eventType": "git.pullrequest.merged", "id": "1"}),
])  # fmt: skip
def test_what_is_merged_comes_as_a_push(provider: str, event: str, payload: Any) -> None:
    found = judged(provider, delivery(provider, payload, event=event))
    assert (found.status, found.accepted) == (200, False) and "what is merged comes as a push" in found.sentence


# --- tampered with ---


@pytest.mark.parametrize("provider", [one for one in PROVIDERS if one != "azure"])
def test_a_body_that_was_changed_is_refused(provider: str) -> None:
    one = delivery(provider)
    for body in (one.body + b" ", json.dumps(SAMPLES[provider], indent=1).encode(), b"", b"null"):
        found = judged(provider, replace(one, body=body))
        assert (found.status, found.proven) == (401, False)
        assert "another one, or the body was changed" in found.sentence


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_the_right_proof_nothing_is_read(provider: str) -> None:
    one = delivery(provider)
    header = next(name for name in PROVIDERS[provider].proof_headers if name in one.headers)
    given = one.headers[header]
    for value in ("", " ", given[:-2], given[:8], given + "0", given.swapcase(), "sha256=", "ä" * 8, "v1,"):
        found = judged(provider, replace(one, headers={**one.headers, header: value}))
        assert (found.status, found.accepted, found.proven) == (401, False, False), value
        assert found.event == found.delivery == "" and not found.pushes
    assert judged(provider, delivery(provider, secret="whsec_" + "A" * 32)).status == 401
    without = {name: value for name, value in one.headers.items() if name != header}
    assert "is missing: set the secret at" in judged(provider, replace(one, headers=without)).sentence


@pytest.mark.parametrize("provider", PROVIDERS)
def test_two_secrets_are_valid_while_one_is_rotated(provider: str) -> None:
    new = "whsec_" + "B" * 32
    assert judged(provider, delivery(provider), "main", new, secret_of(provider)).secret == 1
    assert judged(provider, delivery(provider, secret=new), "main", new, secret_of(provider)).secret == 0


@pytest.mark.parametrize("seconds", [signatures.TOLERANCE_SECONDS + 1, -signatures.TOLERANCE_SECONDS - 1])
def test_a_signature_of_another_time_is_refused(seconds: float) -> None:
    found = judged("generic", delivery("generic", at=NOW + seconds))
    assert found.status == 401 and "it was replayed, or a clock is wrong" in found.sentence
    assert judged("generic", delivery("generic", at=NOW + seconds * 0.9)).accepted


def test_the_proof_of_another_provider_is_none() -> None:
    assert judged("github", delivery("gitea", secret=SECRET)).status == 401


# --- malformed ---


@pytest.mark.parametrize("body", [
    b"", b"{", b"null", b"[]", b"7", b'"text"', b"\xff\xfe", b"[" * 200_000, b'{"ref": 1' + b"0" * 5000 + b"}",
])  # fmt: skip
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_no_object_is_told_so(provider: str, body: bytes) -> None:
    found = judged(provider, delivery(provider, body=body))
    assert (found.status, found.accepted, found.proven) == (400, False, True) and "the body is" in found.sentence


@pytest.mark.parametrize(("provider", "payload", "place"), [
    ("github", {**samples.GITHUB, "ref": None}, "nothing at ref"),
    ("github", {**samples.GITHUB, "ref": ["refs/heads/main"]}, "a list at ref"),
    ("github", {**samples.GITHUB, "ref": ""}, "an empty text at ref"),
    ("gitlab", {"object_kind": "push"}, "nothing at ref"),
    ("gitea", {"ref": 7}, "a number at ref"),
    ("bitbucket", {"push": {"changes": None}}, "nothing at push.changes"),
    ("bitbucket", {"push": {"changes": ["main"]}}, "nothing at push.changes[0].old"),
    ("bitbucket", {"push": {"changes": [{"new": {"type": "tag", "name": {}}}]}}, "an object at push.changes[0].name"),
    ("bitbucket", {"push": {"changes": []}}, "names no ref"),
    ("bitbucket-server", {"changes": [{"ref": "main"}]}, "a text at changes[0].ref"),
    ("bitbucket-server", {"changes": {}}, "an object at changes"),
    ("azure", {"eventType": "git.push", "resource": {"refUpdates": [None]}}, "nothing at resource.refUpdates[0].name"),
    ("generic", {"refs": []}, "an empty list"),
    ("generic", {"refs": [None]}, "ref is null"),
    ("generic", {"ref": "refs/heads/a b"}, "not a ref name"),
    ("github", {**samples.GITHUB, "ref": "--upload-pack=x"}, "cannot start with '-'"),
    ("github", {**samples.GITHUB, "ref": "refs/heads/\ud800"}, "no text"),
    ("github", {**samples.GITHUB, "ref": "refs/heads/" + "x" * 300}, "the ref"),
])  # fmt: skip
def test_what_is_missing_is_named(provider: str, payload: Any, place: str) -> None:
    found = judged(provider, delivery(provider, payload))
    assert (found.status, found.accepted, found.proven) == (400, False, True)
    assert place in found.sentence


def test_very_many_refs_are_read_as_something() -> None:
    changes = [{"ref": {"id": f"refs/heads/b{number}"}, "toHash": "a" * 40} for number in range(MOST_PUSHES + 1)]
    found = judged("bitbucket-server", delivery("bitbucket-server", {"changes": changes}))
    assert found.accepted and found.pushes == (Push(""),)


KEYS = st.sampled_from(
    ["ref", "refs", "after", "changes", "new", "old", "push", "resource", "id", "name", "refUpdates", "type", "target"]
)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(KEYS, one, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(PROVIDERS)), NESTED)
def test_no_payload_breaks_it(provider: str, payload: Any) -> None:
    found = judged(provider, delivery(provider, payload))
    assert found.proven and found.status in (200, 202, 400)
    assert found.accepted == (found.status == 202) and found.sentence


# --- what is followed, from where, how often ---


@pytest.mark.parametrize(("followed", "ref", "expected"), [
    ("main", "refs/heads/main", True), ("main", "refs/tags/main", True), ("main", "refs/heads/feature/main", False),
    ("refs/heads/main", "refs/heads/main", True), ("refs/heads/main", "refs/tags/main", False),
    ("heads/main", "refs/heads/main", False), ("HEAD", "refs/heads/any", True), ("HEAD", "refs/tags/v1", False),
    ("HEAD", "", True), ("main", "", True), ("a" * 40, "", False), ("a" * 40, "refs/heads/main", False),
    ("release/1", "refs/heads/release/1", True),
])  # fmt: skip
def test_what_may_have_moved(followed: str, ref: str, expected: bool) -> None:
    assert follows(followed, Push(ref)) is expected


def test_a_delivery_that_came_before_does_nothing() -> None:
    found = repeated(judged("github", delivery("github")))
    assert (found.status, found.accepted, found.proven) == (200, False, True)
    assert samples.IDENTITY in found.sentence


@pytest.mark.parametrize(("address", "allowed", "taken"), [
    ("203.0.113.7", [], True), ("203.0.113.7", ["203.0.113.0/24"], True), ("203.0.114.7", ["203.0.113.0/24"], False),
    ("2001:db8::1", ["203.0.113.0/24", "2001:db8::/32"], True), ("2001:db9::1", ["2001:db8::/32"], False),
    ("unknown", ["203.0.113.0/24"], False), ("unknown", [], True),
])  # fmt: skip
def test_where_it_may_come_from(address: str, allowed: list[str], taken: bool) -> None:
    if taken:
        check_source(address, allowed)
    else:
        with pytest.raises(HookRefused) as refused:
            check_source(address, allowed)
        assert refused.value.status == 403 and address in refused.value.sentence


@given(st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=60))
def test_a_bucket_gives_its_burst_and_then_its_rate(gaps: list[float]) -> None:
    rate, now, taken = Rate(per_second=2, burst=5), 0.0, 0
    bucket = Bucket(rate.burst, now)
    for gap in gaps:
        now += gap
        bucket, wait = bucket.take(rate, now)
        taken += wait == 0
        assert wait == 0 or wait <= 1 / rate.per_second
        assert taken <= rate.burst + rate.per_second * now + 1e-6


# --- what is kept ---


def test_a_payload_is_kept_without_secrets() -> None:
    text = masked({
        "secret": "s3cr3t", "hook": {"config": {"secret": "s3cr3t", "api_key": "s3cr3t"}}, "private": True,
        "url": "https://bot:s3cr3t@git.example.com/x.git", "tokens": ["s3cr3t"], "secret_name": "",
        "private_url": "https://example.com/y", "list": [{"Authorization": "Basic s3cr3t"}], "odd": "\ud800",
    })  # fmt: skip
    assert "s3cr3t" not in text
    kept = json.loads(text)
    assert kept["private"] is True and kept["private_url"] == "https://example.com/y"
    assert kept["url"] == "https://(hidden)@git.example.com/x.git"


def test_a_large_payload_is_cut_and_a_deep_one_too() -> None:
    assert masked({"text": "x" * LONGEST}).endswith("characters)")
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    assert "too deep" in masked({"deep": deep})
