"""What a look at a registry leads to, and where a policy may stand in a manifest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.images import following
from deployer.core.images.edit import Change
from deployer.core.images.following import Followed, Update
from deployer.core.images.policy import parse_policies
from deployer.core.images.reference import parse_reference
from deployer.core.manifests import read_manifests
from deployer.core.repository import SourceFile
from tests.scenarios.world import web

OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")


def followed(rule: str, asked: str = "shop/web:main", current: str = "", digest: str = "", held: str = "") -> Followed:
    (policy,) = parse_policies(f"web={rule}")
    return Followed(
        1, "web", policy, parse_reference(asked), parse_reference(current or asked), digest=digest, held=held
    )


@pytest.mark.parametrize(
    ("one", "wanted", "why"),
    [
        (followed("digest"), "", f"main is {OLD[:19]}: followed from now on"),
        (followed("digest", digest=OLD), "", f"main still is {OLD[:19]}"),
        (followed("digest", digest=NEW), f"shop/web:main@{OLD}", ""),
        (followed("digest", current=f"shop/web:main@{NEW}"), f"shop/web:main@{OLD}", ""),
        (followed("digest", current=f"shop/web:main@{OLD}"), "", f"main still is {OLD[:19]}"),
        (followed("digest, commit"), f"shop/web:main@{OLD}", ""),
        (followed("digest, commit", f"shop/web:main@{OLD}"), "", f"main still is {OLD[:19]}"),
        (followed("digest", "shop/web", digest=NEW), f"shop/web:latest@{OLD}", ""),
        (followed("digest", digest=NEW, held="it is held"), "", "it is held; main waits"),
    ],
)
def test_a_tag_that_is_followed(one: Followed, wanted: str, why: str) -> None:
    found = following.by_digest(one, OLD)
    assert (found.wanted, found.why) == (wanted, why)


@pytest.mark.parametrize(
    ("one", "digest_is_asked", "wanted"),
    [
        (followed("semver:^1", "shop/web:1.0.0"), False, "shop/web:1.1.0"),
        (followed("semver:^1", f"shop/web:1.0.0@{OLD}"), True, f"shop/web:1.1.0@{NEW}"),
        (followed("semver:^1, pin", "shop/web:1.0.0"), True, f"shop/web:1.1.0@{NEW}"),
        (followed("semver:^1", "shop/web:1.0.0", held="held"), False, ""),
    ],
)
def test_a_newer_tag(one: Followed, digest_is_asked: bool, wanted: str) -> None:
    assert following.wants_digest(one) is digest_is_asked
    assert following.newer(one, "1.1.0", NEW if digest_is_asked else "").wanted == wanted


def test_a_version_is_compared_with_what_is_pinned() -> None:
    one = followed("semver:^1, pin", "shop/web:1.0.0", f"shop/web:1.2.0@{OLD}")
    assert following.by_tags(one, ["1.1.0"]).newer is False
    assert following.by_tags(one, ["1.3.0"]).newer is True


def test_the_message_of_a_commit_names_every_image() -> None:
    change = Change("Deployment", "shop", "web", "web", "ghcr.io:443/shop/web:1", f"ghcr.io:443/shop/web:2@{OLD}")
    one = Update(1, "a.yaml", "shop", change, "semver:*")
    assert following.commit_message([one]).startswith(f"Update shop/web: ghcr.io:443/shop/web:1 -> 2@{OLD}\n\n- Deploy")
    moved = replace(one, change=replace(change, after="nginx"))
    assert following.commit_message([moved]).startswith("Update shop/web: ghcr.io:443/shop/web:1 -> nginx\n")
    assert following.commit_message([one, one]).count("\n- Deployment shop/web, container web: ghcr.io") == 2


def manifest(policy: str, image: str = "shop/web:1", **more: str) -> str:
    return web(image=image, annotations=f'{{pierhead.io/image-policy: "{policy}"}}', **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (manifest("web=semver:^1.foo"), 'metadata.annotations["pierhead.io/image-policy"]: column 12: "^1.foo" is not'),
        (manifest("side=digest"), "there is no container side (containers that are there: web)"),
        (manifest("web=digest", f"shop/web@{OLD}"), "no tag whose digest could be followed"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, annotations: {pierhead.io/image-policy: x=digest}}\n",
            "is for Deployments and Rollouts (remove it, or write a Deployment)",
        ),
        (
            web().replace("metadata: {labels:", "metadata: {annotations: {pierhead.io/image-policy: x}, labels:"),
            "is not looked for in the template (write it among the workload's own annotations)",
        ),
        (manifest("web=digest"), ""),
        (manifest("init=digest; web=semver:^1", pod="initContainers: [{name: init, image: x}]"), ""),
    ],
)
def test_a_policy_is_checked_with_its_manifest(text: str, sentence: str) -> None:
    found = read_manifests([SourceFile("a.yaml", text.encode())], default_namespace="shop", policies={})
    said = [str(one) for one in found.errors]
    assert len(said) == bool(sentence)
    assert all(sentence in one and one.startswith("a.yaml:") for one in said)
