"""The senders: how each proves itself, what its events are called, and where a person sets it up.

Sources: the providers' own documentation of their webhooks (GitHub "Webhook events and payloads", GitLab "Webhook
events", Gitea and Forgejo "Webhooks", Atlassian "Event payloads" for Cloud and Data Center, Azure DevOps "Service hooks
events"), and standardwebhooks.com for the generic one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployer.core.hooks import payloads, signatures
from deployer.core.hooks.payloads import Payload, Reader, text_at
from deployer.core.hooks.signatures import Proof
from deployer.core.hooks.values import Announcement, Received

LONGEST_WORD = 80
"""Of an event's or a delivery's name; providers' own are below 60."""


@dataclass(frozen=True, slots=True)
class Provider:
    """`proof_header`: one of these has to be there. `event` and `delivery`: headers, or with "$" keys of the payload.

    `reads`: how to read the events that are pushes. `greetings`: events that only ask whether anybody is there.
    `sealed_secret`: secrets are `whsec_` and base64 of 32 bytes. `steps`: what a person does there, in order.
    """

    name: str
    title: str
    proof_headers: tuple[str, ...]
    proof: Proof
    event: str
    delivery: tuple[str, ...]
    reads: Mapping[str, Reader]
    greetings: frozenset[str] = frozenset()
    sealed_secret: bool = False
    steps: tuple[str, ...] = ()

    def announcement(self, received: Received, payload: Payload) -> Announcement:
        """Raises HookRefused (400) for a push that cannot be read."""
        event = self._word(self.event, received, payload)
        delivery = next((found for one in self.delivery if (found := self._word(one, received, payload))), "")
        if event in self.greetings or (self.name == "bitbucket-server" and payload.get("test") is True):
            return Announcement(event or "test", delivery, note="Pierhead is here: pushes will be looked at")
        read = self.reads.get(event)
        if read is None:
            return Announcement(event, delivery, note=_nothing(event or "it names none", self.reads))
        return Announcement(event, delivery, payloads.pushes_of(read, payload))

    @staticmethod
    def _word(place: str, received: Received, payload: Payload) -> str:
        found = text_at(payload, place[1:]) if place.startswith("$") else received.header(place)
        return "".join(one for one in found[:LONGEST_WORD] if one.isascii() and one.isprintable())


def _nothing(event: str, reads: Mapping[str, Reader]) -> str:
    merged = "; what is merged comes as a push" if "pull" in event.lower() or "merge" in event.lower() else ""
    looked_at = ", ".join(sorted(filter(None, reads)))
    return f"nothing comes of the event {event!r}{merged}; looked at: {looked_at}"


_GITEA_STEPS = (
    "In the repository: Settings, Webhooks, Add webhook, {title}",
    "Target URL: the address below; HTTP method POST; content type application/json",
    "Secret: the secret below",
    "Trigger on: Push events; Active",
)
_ALL = (
    Provider(
        "github", "GitHub", ("x-hub-signature-256",), signatures.hexadecimal("x-hub-signature-256", "sha256="),
        "x-github-event", ("x-github-delivery",), {"push": payloads.one_ref}, frozenset({"ping"}),
        steps=(
            "In the repository: Settings, Webhooks, Add webhook",
            "Payload URL: the address below; content type application/json",
            "Secret: the secret below; leave SSL verification on",
            "Which events: just the push event; Active",
        ),
    ),
    Provider(
        "gitlab", "GitLab", ("webhook-signature", "x-gitlab-token"), signatures.gitlab,
        "x-gitlab-event", ("x-gitlab-event-uuid", "idempotency-key", "webhook-id"),
        {
            "Push Hook": payloads.one_ref, "Tag Push Hook": payloads.one_ref,
            "System Hook": lambda payload: (payloads.many_refs if "changes" in payload else payloads.one_ref)(payload),
        },
        sealed_secret=True,
        steps=(
            "In the project: Settings, Webhooks, Add new webhook",
            "URL: the address below",
            "Signing token: the secret below; where your GitLab has no such field, Secret token",
            "Trigger: Push events and Tag push events; leave SSL verification on",
        ),
    ),
    Provider(
        "gitea", "Gitea", ("x-gitea-signature",), signatures.hexadecimal("x-gitea-signature"),
        "x-gitea-event", ("x-gitea-delivery",), {"push": payloads.one_ref}, steps=_GITEA_STEPS,
    ),
    Provider(
        "forgejo", "Forgejo", ("x-forgejo-signature", "x-gitea-signature"),
        signatures.any_of(signatures.hexadecimal("x-forgejo-signature"), signatures.hexadecimal("x-gitea-signature")),
        "x-forgejo-event", ("x-forgejo-delivery",), {"push": payloads.one_ref}, steps=_GITEA_STEPS,
    ),
    Provider(
        "bitbucket", "Bitbucket Cloud", ("x-hub-signature",), signatures.hexadecimal("x-hub-signature", "sha256="),
        "x-event-key", ("x-request-uuid",), {"repo:push": payloads.bitbucket_cloud},
        steps=(
            "In the repository: Repository settings, Webhooks, Add webhook",
            "URL: the address below; Secret: the secret below; Status: active",
            "Triggers: Repository push",
        ),
    ),
    Provider(
        "bitbucket-server", "Bitbucket Data Center", ("x-hub-signature",),
        signatures.hexadecimal("x-hub-signature", "sha256="), "x-event-key", ("x-request-id",),
        {"repo:refs_changed": payloads.bitbucket_server, "mirror:repo_synchronized": payloads.bitbucket_server},
        frozenset({"diagnostics:ping"}),
        steps=(
            "In the repository: Repository settings, Webhooks, Create webhook",
            "URL: the address below; Secret: the secret below",
            "Repository events: Push; Test connection, then Create",
        ),
    ),
    Provider(
        "azure", "Azure DevOps", ("authorization",), signatures.basic, "$eventType", ("$id",),
        {"git.push": payloads.azure},
        steps=(
            "In the project: Project settings, Service hooks, Create subscription, Web Hooks",
            "Trigger: Code pushed, for this repository",
            "URL: the address below; Basic authentication username: pierhead; password: the secret below",
            "Resource details to send: All",
        ),
    ),
    Provider(
        "generic", "Anything else (Standard Webhooks)", ("webhook-signature",), signatures.standard,
        "$type", ("webhook-id",), {"": payloads.generic, "push": payloads.generic}, frozenset({"ping"}),
        sealed_secret=True,
        steps=(
            "POST to the address below, signed as standardwebhooks.com says: the headers webhook-id, webhook-timestamp "
            "and webhook-signature",
            'Body: {{"ref": "refs/heads/main"}}, {{"refs": [...]}}, or {{}} for "something moved"',
        ),
    ),
)  # fmt: skip
PROVIDERS = {one.name: one for one in _ALL}
