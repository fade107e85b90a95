"""Image registries as senders: how each proves itself, and which images it says were pushed.

Sources: Docker Hub "Webhooks", GitHub's events `package` and `registry_package`, Harbor "Configure webhook
notifications" (its own format and CloudEvents), and the notifications of the CNCF's distribution registry.
A push leads to a look at what the registry holds now: a payload is believed in nothing but that there is reason to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.core.hooks import signatures
from deployer.core.hooks.payloads import Payload
from deployer.core.hooks.providers import PROVIDERS, Provider
from deployer.core.hooks.values import Announcement, HookRefused, PushedImage, Received
from deployer.core.images.reference import BadReference, parse_reference

MOST_IMAGES = 100
PATH_SECRET = ":secret"  # noqa: S105 - a name
"""A header that no request can have: what stands behind the webhook's address, where a sender can do no better."""
ImageReader = Callable[[Payload], Iterable[str]]


@dataclass(frozen=True, slots=True)
class RegistryProvider(Provider):
    """`images`: by event, how to read image references out of a payload."""

    images: Mapping[str, ImageReader] = field(default_factory=dict)

    def announcement(self, received: Received, payload: Payload) -> Announcement:
        event = self._word(self.event, received, payload)
        delivery = next((found for one in self.delivery if (found := self._word(one, received, payload))), "")
        if event in self.greetings:
            return Announcement(event, delivery, note="Pierhead is here: pushed images will be looked at")
        read = self.images.get(event)
        if read is None:
            looked_at = ", ".join(sorted(filter(None, self.images)))
            note = f"nothing comes of the event {event or 'it names none'!r}; looked at: {looked_at}"
            return Announcement(event, delivery, note=note)
        images = _checked(read(payload))
        note = "" if images else "it names no image that was pushed with a tag"
        return Announcement(event, delivery, note=note, images=images)


def docker_hub(payload: Payload) -> Iterable[str]:
    """{push_data: {tag}, repository: {repo_name}}"""
    name = _text(payload, "repository", "repo_name")
    yield f"docker.io/{name}:{_text(payload, 'push_data', 'tag')}"


def github_package(payload: Payload) -> Iterable[str]:
    """{action, package or registry_package: {package_type, name, namespace, package_version: {...}}}"""
    key = "registry_package" if "registry_package" in payload else "package"
    if str(_at(payload, key, "package_type")).upper() not in ("CONTAINER", "DOCKER"):
        return
    tag = _at(payload, key, "package_version", "container_metadata", "tag", "name")
    if not isinstance(tag, str) or not tag:
        return
    owner = _at(payload, key, "namespace") or _at(payload, key, "owner", "login")
    yield f"ghcr.io/{owner}/{_text(payload, key, 'name')}:{tag}".lower().replace(f":{tag.lower()}", f":{tag}")


def harbor(payload: Payload) -> Iterable[str]:
    """{event_data: {resources: [{tag, resource_url}]}}, or as a CloudEvent {data: {...}}."""
    key = "event_data" if "event_data" in payload else "data"
    for number, one in enumerate(_list(payload, key, "resources")):
        place = f"{key}.resources[{number}]"
        if not isinstance(one, dict) or not isinstance(one.get("resource_url"), str):
            raise HookRefused(400, f"the payload has no text at {place}.resource_url")
        if one.get("tag"):
            yield one["resource_url"].partition("@")[0]


def distribution(payload: Payload) -> Iterable[str]:
    """{events: [{action, target: {repository, tag, url}, request: {host}}]}; or {image} or {images: [...]}."""
    if "image" in payload or "images" in payload:
        listed = _list(payload, "images") if "images" in payload else [payload["image"]]
        for one in listed:
            if not isinstance(one, str):
                raise HookRefused(400, "the payload's image is not a text")
            yield one
        return
    for number, event in enumerate(_list(payload, "events")):
        if not isinstance(event, dict):
            raise HookRefused(400, f"the payload has no object at events[{number}]")
        target = event.get("target")
        if event.get("action") == "push" and isinstance(target, dict) and target.get("tag"):
            host = _at(event, "request", "host") or str(target.get("url", "")).partition("://")[2].partition("/")[0]
            yield f"{host}/{target.get('repository')}:{target['tag']}"


def _checked(found: Iterable[str]) -> tuple[PushedImage, ...]:
    images: dict[PushedImage, None] = {}
    for text in found:
        try:
            image = parse_reference(text)
        except BadReference as error:
            raise HookRefused(400, f"the payload names an image that is none: it {error}") from error
        images[PushedImage(image.whole, image.effective_tag)] = None
        if len(images) > MOST_IMAGES:
            raise HookRefused(400, f"the payload names more than {MOST_IMAGES} images")
    return tuple(images)


def _at(payload: Any, *keys: str) -> Any:
    """What may be missing."""
    for key in keys:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload


def _text(payload: Payload, *keys: str) -> str:
    found = _at(payload, *keys)
    if not isinstance(found, str) or not found:
        raise HookRefused(400, f"the payload has no text at {'.'.join(keys)}")
    return found


def _list(payload: Payload, *keys: str) -> list[Any]:
    found = _at(payload, *keys)
    if not isinstance(found, list):
        raise HookRefused(400, f"the payload has no list at {'.'.join(keys)}")
    return found


_ALL = (
    RegistryProvider(
        "dockerhub", "Docker Hub", (PATH_SECRET,), signatures.shared(PATH_SECRET), "$event", (), {},
        images={"": docker_hub},
        steps=(
            "In the repository at Docker Hub: Webhooks",
            "Webhook URL: the address below, a slash, and the secret below, by which Docker Hub proves itself",
        ),
    ),
    RegistryProvider(
        "ghcr", "GitHub packages (ghcr.io)", ("x-hub-signature-256",),
        signatures.hexadecimal("x-hub-signature-256", "sha256="), "x-github-event", ("x-github-delivery",), {},
        frozenset({"ping"}), images={"package": github_package, "registry_package": github_package},
        steps=(
            "In the organisation or repository: Settings, Webhooks, Add webhook",
            "Payload URL: the address below; content type application/json",
            "Secret: the secret below; leave SSL verification on",
            "Which events: Packages and Registry packages; Active",
        ),
    ),
    RegistryProvider(
        "harbor", "Harbor", ("authorization",), signatures.shared("authorization"), "$type", ("$id",), {},
        images={"PUSH_ARTIFACT": harbor, "harbor.artifact.pushed": harbor},
        steps=(
            "In the project: Webhooks, New webhook; notify type http",
            "Event type: Artifact pushed; endpoint URL: the address below",
            "Auth header: the secret below; verify the remote certificate",
        ),
    ),
    RegistryProvider(
        "registry", "Any other registry", ("webhook-signature", "authorization"),
        signatures.any_of(signatures.bearer, signatures.standard), "$type", ("webhook-id",), {},
        frozenset({"ping"}), sealed_secret=True, images={"": distribution, "push": distribution},
        steps=(
            "distribution (the registry image): under notifications, an endpoint with url: the address below, and "
            "headers: Authorization: [Bearer and the secret below]",
            "or POST to the address below, signed as standardwebhooks.com says or with that header",
            'Body: its notifications, or {{"image": "registry.example.com/shop/web:1.2"}}, or {{"images": [...]}}',
        ),
    ),
)  # fmt: skip
REGISTRIES = {one.name: one for one in _ALL}
SENDERS: dict[str, Provider] = {**PROVIDERS, **REGISTRIES}
"""Git hosts and registries."""
