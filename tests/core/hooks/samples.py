"""Deliveries as the providers document them: their published examples, cut to what a receiver might look at."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from deployer.core.hooks.values import Received

NOW = 1_800_000_000.0
SECRET = "It's a Secret to Everybody"
SEALED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ZEROS = "0" * 40

GITHUB: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "after": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
    "created": False, "deleted": False, "forced": False, "base_ref": None,
    "repository": {"full_name": "Codertocat/Hello-World", "private": False, "default_branch": "main"},
    "pusher": {"name": "Codertocat", "email": "21031067+Codertocat@users.noreply.github.com"},
    "head_commit": {"id": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", "message": "Update README.md"},
}  # fmt: skip
GITHUB_TAG_GONE = {**GITHUB, "ref": "refs/tags/simple-tag", "after": ZEROS, "deleted": True, "head_commit": None}
GITLAB: dict[str, Any] = {
    "object_kind": "push", "event_name": "push",
    "before": "95790bf891e76fee5e1747ab589903a6a1f80f22", "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    "ref": "refs/heads/main", "ref_protected": True, "checkout_sha": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    "user_id": 4, "user_name": "John Smith", "project_id": 15,
    "project": {"id": 15, "name": "Diaspora", "git_http_url": "http://example.com/mike/diaspora.git"},
    "total_commits_count": 4,
}  # fmt: skip
GITLAB_SYSTEM: dict[str, Any] = {
    "event_name": "repository_update", "project_id": 1,
    "changes": [
        {"before": "8205ea8d81ce0c6b90fbe8280d118cc9fdad6130", "after": "4045ea7a3df38697b3730a20fb73c8bed8a3e69e",
         "ref": "refs/heads/topic"},
        {"before": ZEROS, "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "ref": "refs/heads/main"},
    ],
    "refs": ["refs/heads/topic", "refs/heads/main"],
}  # fmt: skip
GITEA: dict[str, Any] = {
    "ref": "refs/heads/main", "before": "28e1879d029cb852e4844d9c718537df08844e03",
    "after": "bffeb74224043ba2feb48d137756c8a9331c449a",
    "commits": [{"id": "bffeb74224043ba2feb48d137756c8a9331c449a", "message": "Webhooks Yay!"}],
    "repository": {"id": 140, "full_name": "gitea/webhooks", "private": False},
}  # fmt: skip
BITBUCKET: dict[str, Any] = {
    "actor": {"type": "user", "nickname": "evzijst"},
    "repository": {"type": "repository", "full_name": "team_name/repo_name"},
    "push": {"changes": [
        {"new": None,
         "old": {"type": "branch", "name": "gone", "target": {"hash": "1e65c05c1d5171631d92438a13901ca7dae9618c"}},
         "closed": True, "created": False, "forced": False},
        {"new": {"type": "branch", "name": "main",
                 "target": {"type": "commit", "hash": "709d658dc5b6d6afcd46049c2f332ee3f515a67d"}},
         "old": None, "created": True, "forced": False, "closed": False, "truncated": False},
        {"new": {"type": "tag", "name": "v1.0",
                 "target": {"type": "commit", "hash": "709d658dc5b6d6afcd46049c2f332ee3f515a67d"}}, "old": None},
    ]},
}  # fmt: skip
BITBUCKET_SERVER: dict[str, Any] = {
    "eventKey": "repo:refs_changed", "date": "2017-09-19T09:58:11+1000", "actor": {"name": "admin", "id": 1},
    "repository": {"slug": "repository", "id": 84, "project": {"key": "PROJ"}},
    "changes": [
        {"ref": {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"}, "refId": "refs/heads/main",
         "fromHash": "ecddabb624f6f5ba43816f5926e580a5f680a932", "toHash": "178864a7d521b6f5e720b386b2c2b0ef8563e0dc",
         "type": "UPDATE"},
    ],
}  # fmt: skip
AZURE: dict[str, Any] = {
    "subscriptionId": "00000000-0000-0000-0000-000000000000", "notificationId": 3,
    "id": "03c164c2-8912-4d5e-8009-3707d5f83734", "eventType": "git.push", "publisherId": "tfs",
    "message": {"text": "Jamal Hartnett pushed updates to Fabrikam-Fiber-Git:main."},
    "resource": {
        "commits": [{"commitId": "33b55f7cb7e7e245323987634f960cf4a6e6bc74", "comment": "Fixed bug in web.config"}],
        "refUpdates": [
            {"name": "refs/heads/main", "oldObjectId": "aad331d8d3b131fa9ae03cf5e53965b51942618a",
             "newObjectId": "33b55f7cb7e7e245323987634f960cf4a6e6bc74"},
        ],
        "repository": {"name": "Fabrikam-Fiber-Git", "defaultBranch": "refs/heads/main"},
    },
}  # fmt: skip
GENERIC: dict[str, Any] = {"ref": "refs/heads/main", "commit": "33b55f7cb7e7e245323987634f960cf4a6e6bc74"}
SAMPLES = {
    "github": GITHUB, "gitlab": GITLAB, "gitea": GITEA, "forgejo": GITEA, "bitbucket": BITBUCKET,
    "bitbucket-server": BITBUCKET_SERVER, "azure": AZURE, "generic": GENERIC,
}  # fmt: skip
EVENTS = {
    "github": "push", "gitlab": "Push Hook", "gitea": "push", "forgejo": "push", "bitbucket": "repo:push",
    "bitbucket-server": "repo:refs_changed", "azure": "", "generic": "",
}  # fmt: skip
IDENTITY = "f6266f16-1bf3-46a5-9ea4-602e06ead473"


def secret_of(provider: str) -> str:
    return SEALED if provider in ("gitlab", "generic") else SECRET


def delivery(
    provider: str, payload: Any = None, *, event: str = "", secret: str = "", identity: str = IDENTITY,
    at: float = NOW, body: bytes | None = None,
) -> Received:  # fmt: skip
    """As the provider sends it: its published example, unless told otherwise."""
    raw = json.dumps(SAMPLES[provider] if payload is None else payload).encode() if body is None else body
    named = headers(provider, raw, event or EVENTS[provider], secret or secret_of(provider), identity, at)
    return Received({"content-type": "application/json", **named}, raw, NOW)


def headers(provider: str, body: bytes, event: str, secret: str, identity: str, at: float) -> dict[str, str]:
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    match provider:
        case "github":
            return {"x-github-event": event, "x-github-delivery": identity, "x-hub-signature-256": f"sha256={signed}"}
        case "gitlab":
            return {"x-gitlab-event": event, "x-gitlab-event-uuid": identity, **standard(body, secret, identity, at)}
        case "gitea":
            return {"x-gitea-event": event, "x-gitea-delivery": identity, "x-gitea-signature": signed}
        case "forgejo":
            return {"x-forgejo-event": event, "x-forgejo-delivery": identity, "x-forgejo-signature": signed}
        case "bitbucket":
            return {"x-event-key": event, "x-request-uuid": identity, "x-hub-signature": f"sha256={signed}"}
        case "bitbucket-server":
            return {"x-event-key": event, "x-request-id": identity, "x-hub-signature": f"sha256={signed}"}
        case "azure":
            return {"authorization": "Basic " + base64.b64encode(f"pierhead:{secret}".encode()).decode()}
    return standard(body, secret, identity, at)


def standard(body: bytes, secret: str, identity: str, at: float) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((identity.encode(), str(int(at)).encode(), body))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": identity, "webhook-timestamp": str(int(at)), "webhook-signature": f"v1,{digest}"}
