"""What it says: each provider's payload, read strictly where something hangs on it and not at all elsewhere.

The shapes are those that the providers document for their push events (see `providers.py`). Whatever is missing or of
another type is answered with 400 and its place in the payload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from deployer.core.hooks.values import HookRefused, Push, Received
from deployer.core.repository import RepositoryRefused, check_ref

MOST_PUSHES = 100
"""Of one delivery: more than that are read as "something moved"."""
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_FORM = "application/x-www-form-urlencoded"
_KINDS: dict[type, str] = {
    str: "a text", list: "a list", dict: "an object", int: "a number", float: "a number", bool: "true or false",
}  # fmt: skip
Payload = Mapping[str, Any]
Reader = Callable[[Payload], Iterable[Push]]


def payload_of(received: Received) -> Payload:
    """The JSON object of the body, or of the form field `payload`, which GitHub and Gitea may send instead."""
    body = received.body
    if received.header("content-type").partition(";")[0].strip().lower() == _FORM:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=16)
        body = fields.get("payload", [""])[0].encode()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HookRefused(400, "the body is not JSON: set the webhook's content type to application/json") from error
    if not isinstance(found, dict):
        raise HookRefused(400, f"the body is {_named(found)}, where an object was expected")
    return found


def one_ref(payload: Payload) -> Iterable[Push]:
    """GitHub, GitLab, Gitea, Forgejo: {ref, after}."""
    yield push(_need(payload, str, "ref"), payload.get("after"))


def many_refs(payload: Payload) -> Iterable[Push]:
    """GitLab's system hook `repository_update`: {changes: [{ref, after}]}."""
    for number, one in enumerate(_need(payload, list, "changes")):
        yield push(_need(one, str, "ref", inside=f"changes[{number}]"), one.get("after"))


def bitbucket_cloud(payload: Payload) -> Iterable[Push]:
    """{push: {changes: [{new: {type, name, target: {hash}} or null, old: likewise}]}}"""
    for number, change in enumerate(_need(_need(payload, dict, "push"), list, "changes", inside="push")):
        inside = f"push.changes[{number}]"
        after = change.get("new") if isinstance(change, dict) else None
        named = after or _need(change, dict, "old", inside=inside)
        folder = "tags" if _need(named, str, "type", inside=inside) in ("tag", "annotated_tag") else "heads"
        target = after.get("target") if isinstance(after, dict) else None
        commit = target.get("hash") if isinstance(target, dict) else ""
        yield push(f"refs/{folder}/{_need(named, str, 'name', inside=inside)}", commit)


def bitbucket_server(payload: Payload) -> Iterable[Push]:
    """{changes: [{ref: {id}, toHash}]}; a mirror that left some out says refLimitExceeded."""
    if payload.get("refLimitExceeded") is True:
        yield Push("")
    for number, change in enumerate(_need(payload, list, "changes")):
        inside = f"changes[{number}]"
        yield push(_need(_need(change, dict, "ref", inside=inside), str, "id", inside=inside), change.get("toHash"))


def azure(payload: Payload) -> Iterable[Push]:
    """{resource: {refUpdates: [{name, newObjectId}]}}"""
    for number, one in enumerate(_need(_need(payload, dict, "resource"), list, "refUpdates", inside="resource")):
        yield push(_need(one, str, "name", inside=f"resource.refUpdates[{number}]"), one.get("newObjectId"))


def generic(payload: Payload) -> Iterable[Push]:
    """{ref} or {refs: [...]} with {commit}, or nothing of it: something moved."""
    if "refs" in payload:
        refs = _need(payload, list, "refs")
        if not refs:
            raise HookRefused(400, "the payload's refs is an empty list: name a ref, or leave refs out")
    else:
        refs = [payload["ref"]] if "ref" in payload else [""]
    for one in refs:
        if not isinstance(one, str):
            raise HookRefused(400, f"the payload's ref is {_named(one)}, where a text was expected")
        yield push(one, payload.get("commit")) if one else Push("")


def pushes_of(read: Reader, payload: Payload) -> tuple[Push, ...]:
    found = tuple(read(payload))
    if not found:
        raise HookRefused(400, "the payload names no ref that was pushed")
    return found if len(found) <= MOST_PUSHES else (Push(""),)


def push(ref: str, commit: object) -> Push:
    try:
        ref.encode()
        check_ref(ref)
    except UnicodeEncodeError as error:
        raise HookRefused(400, "the payload names a ref that is no text") from error
    except RepositoryRefused as error:
        raise HookRefused(400, error.sentence) from error
    known = isinstance(commit, str) and _SHA.fullmatch(commit) and commit.strip("0")
    return Push(ref, str(commit) if known else "")


def follows(followed: str, moved: Push) -> bool:
    """Whether a repository's ref (branch, tag, `refs/...`, `HEAD`) may be what moved. A commit never moves."""
    if _SHA.fullmatch(followed):
        return False
    if followed == "HEAD":
        return not moved.ref.startswith("refs/tags/")
    if not moved.ref:
        return True
    return moved.ref in (followed, f"refs/heads/{followed}", f"refs/tags/{followed}") or followed == f"refs/{moved.ref}"


def text_at(payload: Payload, key: str) -> str:
    """What may be missing."""
    found = payload.get(key)
    return found if isinstance(found, str) else ""


def _need(holder: object, kind: type, key: str, *, inside: str = "") -> Any:
    found = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(found, kind) and found != "":
        return found
    place = f"{inside}.{key}" if inside else key
    what = "nothing" if found is None else "an empty text" if found == "" else _named(found)
    raise HookRefused(400, f"the payload has {what} at {place}, where {_KINDS[kind]} was expected")


def _named(found: object) -> str:
    return _KINDS.get(type(found), "null")
