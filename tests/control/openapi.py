"""What the pages, the API and the webhooks take, as an OpenAPI document: made from the routes themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern

WORD: dict[str, Any] = {"type": "string", "maxLength": 300}
"""What anybody may write."""
NUMBER: dict[str, Any] = {"anyOf": [{"type": "integer"}, WORD]}
QUESTIONS: dict[str, dict[str, Any]] = {
    "words": WORD, "page": NUMBER, "before": WORD, "since": NUMBER, "from": WORD, "to": WORD, "port": NUMBER,
    "in": WORD,
    "namespace": WORD, "kind": WORD, "type": WORD, "name": WORD, "object": WORD, "container": WORD, "tail": NUMBER,
    "revision": NUMBER, "seen": WORD, "ingresses": NUMBER, "sync": WORD, "health": WORD, "next": WORD,
}  # fmt: skip
"""What addresses ask for behind the `?`. `as=stream` is left out: it does not end."""
FIELDS = dict.fromkeys(
    (
        "seen", "state", "commit", "head", "revision", "replicas", "recipient", "name", "namespace", "role", "username",
        "password", "current", "new", "again", "code", "days", "provider", "allowed", "what", "ssh_signers", "gpg_keys",
        "kinds", "force", "no_budgets", "prune_all", "path", "ref", "labels", "mesh_address", "api_url", "as",
    ),
    WORD,
)  # fmt: skip
"""Of forms. Without addresses of servers: those would be asked."""
_SAID = {"default": {"description": "an answer"}}
_PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")


def document(routes: Mapping[str, URLPattern], known: Mapping[str, str]) -> dict[str, Any]:
    """`known`: by the name of a part of an address, one that leads somewhere."""
    paths = {_template(route): _operations(route, known) for route in routes}
    return {"openapi": "3.1.0", "info": {"title": "Pierhead", "version": "1"}, "paths": paths}


def hooks(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """`shapes`: the schema of a payload, by the provider that sends it."""
    paths = {f"/hooks/{provider}": {"post": _taking("application/json", shape)} for provider, shape in shapes.items()}
    return {"openapi": "3.1.0", "info": {"title": "Webhooks", "version": "1"}, "paths": paths}


def shape_of(sample: Any) -> dict[str, Any]:
    """A schema of what looks like the sample, with any part missing or of another type."""
    other = {"type": ["string", "number", "boolean", "null"]}
    if isinstance(sample, dict):
        return {"anyOf": [{"type": "object", "properties": {key: shape_of(one) for key, one in sample.items()}}, other]}
    if isinstance(sample, list):
        return {"anyOf": [{"type": "array", "maxItems": 3, "items": shape_of(sample[0]) if sample else other}, other]}
    return {"anyOf": [{"const": sample}, other, {"type": "array", "maxItems": 2}, {"type": "object"}]}


def _template(route: str) -> str:
    return "/" + _PLACE.sub(r"{\2}", route)


def _operations(route: str, known: Mapping[str, str]) -> dict[str, Any]:
    parts = [_parameter(name, "path", _part(kind, known.get(name, "api"))) for kind, name in _PLACE.findall(route)]
    asked = [_parameter(name, "query", shape) for name, shape in QUESTIONS.items()]
    form = {"type": "object", "properties": FIELDS, "additionalProperties": False}
    pressed = _taking("application/x-www-form-urlencoded", form)
    return {"get": {"parameters": [*parts, *asked], "responses": _SAID}, "post": {**pressed, "parameters": parts}}


def _part(kind: str, known: str) -> dict[str, Any]:
    if kind == "int":
        return {"anyOf": [{"const": int(known)}, {"type": "integer", "minimum": 0}]}
    return {"anyOf": [{"const": known}, {**WORD, "minLength": 1}]}


def _parameter(name: str, place: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": shape}


def _taking(kind: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": shape}}}, "responses": _SAID}
