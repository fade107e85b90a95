"""What registries send: their published examples, whole, tampered with and malformed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from deployer.core.hooks.judgement import judge
from deployer.core.hooks.registries import MOST_IMAGES, PATH_SECRET, REGISTRIES
from deployer.core.hooks.values import Judgement, PushedImage, Received
from tests.core.hooks.samples import NOW, SEALED, SECRET, standard
from tests.core.hooks.test_hooks import NESTED

QUICKLY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

DIGEST = "sha256:" + "a" * 64
HUB: dict[str, Any] = {
    "callback_url": "https://registry.hub.docker.com/u/svendowideit/testhook/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/",
    "push_data": {"pushed_at": 1417566161, "pusher": "trustedbuilder", "tag": "latest"},
    "repository": {
        "comment_count": 0, "date_created": 1417494799, "dockerfile": "...", "is_official": False, "is_private": True,
        "name": "testhook", "namespace": "svendowideit", "owner": "svendowideit", "repo_name": "svendowideit/testhook",
        "repo_url": "https://registry.hub.docker.com/u/svendowideit/testhook/", "star_count": 0, "status": "Active",
    },
}  # fmt: skip
PACKAGE: dict[str, Any] = {
    "action": "published",
    "package": {
        "id": 1, "name": "Hello", "namespace": "Codertocat", "ecosystem": "CONTAINER", "package_type": "CONTAINER",
        "owner": {"login": "Codertocat"},
        "package_version": {
            "version": DIGEST, "container_metadata": {"tag": {"name": "V1.2", "digest": DIGEST}},
            "package_url": "ghcr.io/codertocat/hello:V1.2",
        },
    },
}  # fmt: skip
HARBOR: dict[str, Any] = {
    "type": "PUSH_ARTIFACT", "occur_at": 1586922308, "operator": "admin",
    "event_data": {
        "resources": [{"digest": DIGEST, "tag": "v1", "resource_url": "hub.harbor.com/test-webhook/debian:v1"}],
        "repository": {"date_created": 1586922308, "name": "debian", "namespace": "test-webhook",
                       "repo_full_name": "test-webhook/debian", "repo_type": "private"},
    },
}  # fmt: skip
CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0", "type": "harbor.artifact.pushed", "id": "4b2f89a6-548d-4c12-9993-a1f5790b97d2",
    "source": "/projects/1/webhook/policies/3", "datacontenttype": "application/json", "operator": "harbor-jobservice",
    "data": {"resources": [{"digest": DIGEST, "tag": "v1", "resource_url": "hub.harbor.com/test-webhook/debian:v1"}]},
}  # fmt: skip
NOTIFICATION: dict[str, Any] = {"events": [
    {"id": "320678d8", "timestamp": "2006-01-02T15:04:05Z", "action": "push",
     "target": {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": 1, "digest": DIGEST,
                "length": 1, "repository": "library/test", "tag": "latest",
                "url": f"https://example.com/v2/library/test/manifests/{DIGEST}"},
     "request": {"id": "6df24a34", "addr": "client.local", "host": "registrycluster.local", "method": "PUT"},
     "actor": {"name": "test-actor"}, "source": {"addr": "hostname.local:port"}},
    {"action": "push", "target": {"mediaType": "application/octet-stream", "repository": "library/test"}},
    {"action": "pull", "target": {"repository": "library/other", "tag": "1"}, "request": {"host": "h.example.com"}},
]}  # fmt: skip
SAMPLES = {"dockerhub": HUB, "ghcr": PACKAGE, "harbor": HARBOR, "registry": NOTIFICATION}
PUSHED = {
    "dockerhub": PushedImage("docker.io/svendowideit/testhook", "latest"),
    "ghcr": PushedImage("ghcr.io/codertocat/hello", "V1.2"),
    "harbor": PushedImage("hub.harbor.com/test-webhook/debian", "v1"),
    "registry": PushedImage("registrycluster.local/library/test", "latest"),
}


def secret_of(provider: str) -> str:
    return SEALED if provider == "registry" else SECRET


def delivery(provider: str, payload: Any = None, *, secret: str = "", event: str = "package") -> Received:
    body = json.dumps(SAMPLES[provider] if payload is None else payload).encode()
    secret = secret or secret_of(provider)
    named = {
        "dockerhub": {PATH_SECRET: secret},
        "ghcr": {
            "x-github-event": event, "x-github-delivery": "72d3162e",
            "x-hub-signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
        },
        "harbor": {"authorization": secret},
        "registry": {"authorization": f"Bearer {secret}"},
    }  # fmt: skip
    return Received({"content-type": "application/json", **named[provider]}, body, NOW)


def judged(provider: str, received: Received, *secrets: str) -> Judgement:
    return judge(REGISTRIES[provider], received, secrets or (secret_of(provider),), "main")


@pytest.mark.parametrize("provider", REGISTRIES)
def test_a_pushed_image_is_accepted(provider: str) -> None:
    found = judged(provider, delivery(provider))
    assert (found.status, found.accepted, found.secret) == (202, True, 0), found.sentence
    assert found.images == (PUSHED[provider],)
    assert found.pushes == ()


def test_other_shapes_of_the_same() -> None:
    renamed = {"action": "published", "registry_package": PACKAGE["package"]}
    assert judged("ghcr", delivery("ghcr", renamed, event="registry_package")).images == (PUSHED["ghcr"],)
    assert judged("harbor", delivery("harbor", CLOUD_EVENT)).images == (PUSHED["harbor"],)
    two = {"images": ["ghcr.io/shop/web:1.2", "nginx"]}
    signed = Received(standard(json.dumps(two).encode(), SEALED, "msg_1", NOW), json.dumps(two).encode(), NOW)
    found = judged("registry", signed)
    assert found.images == (PushedImage("ghcr.io/shop/web", "1.2"), PushedImage("docker.io/library/nginx", "latest"))
    assert found.delivery == "msg_1"
    assert judged("registry", delivery("registry", {"image": "ghcr.io/shop/web:1.2"})).accepted


@pytest.mark.parametrize("provider", REGISTRIES)
def test_without_the_right_proof_nothing_is_read(provider: str) -> None:
    one = delivery(provider)
    header = next(name for name in REGISTRIES[provider].proof_headers if name in one.headers)
    given = one.headers[header]
    for value in ("", " ", given[:-2], given[:8], given + "0", given.swapcase(), "Bearer", "ä" * 8):
        found = judged(provider, replace(one, headers={**one.headers, header: value}))
        assert (found.status, found.accepted, found.proven) == (401, False, False), value
        assert not found.images
        assert found.event == ""
    assert judged(provider, delivery(provider, secret="whsec_" + "A" * 32)).status == 401
    new = "whsec_" + "B" * 32
    assert judged(provider, one, new, secret_of(provider)).secret == 1, "two are valid while one is rotated"


@pytest.mark.parametrize(("provider", "what"), [
    ("dockerhub", "the secret behind the address"), ("ghcr", "the header x-hub-signature-256"),
    ("registry", "the header webhook-signature or authorization"),
])  # fmt: skip
def test_what_is_missing_is_called_as_people_know_it(provider: str, what: str) -> None:
    title = REGISTRIES[provider].title
    said = judged(provider, replace(delivery(provider), headers={})).sentence
    assert said == f"{what} is missing: set the secret at {title}"


def test_a_body_that_was_changed_is_refused_where_it_is_signed() -> None:
    one = delivery("ghcr")
    assert judged("ghcr", replace(one, body=one.body + b" ")).status == 401


@pytest.mark.parametrize(
    ("provider", "payload", "status", "words"),
    [
        ("dockerhub", {}, 400, "no text at repository.repo_name"),
        ("dockerhub", {**HUB, "push_data": {"tag": None}}, 400, "no text at push_data.tag"),
        ("dockerhub", {**HUB, "push_data": {"tag": "a b"}}, 400, "names an image that is none"),
        ("dockerhub", {**HUB, "repository": {"repo_name": "../../x"}}, 400, "names an image that is none"),
        ("ghcr", {"package": {"package_type": "npm"}}, 200, "it names no image that was pushed with a tag"),
        ("ghcr", {"package": {"package_type": "CONTAINER", "name": "x"}}, 200, "it names no image that was pushed"),
        ("harbor", {"type": "PUSH_ARTIFACT"}, 400, "no list at data.resources"),
        ("harbor", {"type": "PUSH_ARTIFACT", "event_data": {"resources": [7]}}, 400, "event_data.resources[0]"),
        ("harbor", {"type": "DELETE_ARTIFACT"}, 200, "nothing comes of the event 'DELETE_ARTIFACT'; looked at: PUSH_"),
        ("registry", {"events": 7}, 400, "no list at events"),
        ("registry", {"events": [7]}, 400, "no object at events[0]"),
        ("registry", {"events": []}, 200, "it names no image"),
        ("registry", {"image": 7}, 400, "image is not a text"),
        ("registry", {"images": ["-x"]}, 400, "names an image that is none"),
        ("registry", {"images": [f"x:{n}" for n in range(MOST_IMAGES + 1)]}, 400, "more than 100 images"),
        ("registry", {"type": "ping"}, 200, "Pierhead is here"),
    ],
)
def test_what_cannot_be_read_is_named(provider: str, payload: Any, status: int, words: str) -> None:
    found = judged(provider, delivery(provider, payload))
    assert (found.status, found.accepted, found.proven) == (status, False, True)
    assert words in found.sentence


def test_a_greeting_of_github() -> None:
    assert "Pierhead is here" in judged("ghcr", delivery("ghcr", {"zen": "x"}, event="ping")).sentence


@pytest.mark.parametrize("provider", REGISTRIES)
@given(payload=NESTED)
@QUICKLY
def test_no_payload_breaks_it(provider: str, payload: Any) -> None:
    found = judged(provider, delivery(provider, payload))
    assert found.proven
    assert found.status in (200, 202, 400)
    assert found.accepted == bool(found.images)


def test_basic_is_no_bearer() -> None:
    one = delivery("registry")
    given = base64.b64encode(f"pierhead:{SEALED}".encode()).decode()
    assert judged("registry", replace(one, headers={"authorization": f"Basic {given}"})).status == 401
