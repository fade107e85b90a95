"""Config maps and secrets: keys, sizes, base64, and what a type of secret must hold. Values are never told."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding
from deployer.core.objects.kinds import ConfigMap, Secret
from deployer.core.tls_pair import CERTIFICATE, KEY, TLS_TYPE, pair_problem

MAX_BYTES = 1024 * 1024
_DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
_NEEDED: Mapping[str, tuple[str, ...]] = {
    _DOCKER_CONFIG: (".dockerconfigjson",),
    TLS_TYPE: (CERTIFICATE, KEY),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_REFUSED_TYPES: Mapping[str, str] = {
    "kubernetes.io/service-account-token": "there are no service accounts here",
    "bootstrap.kubernetes.io/token": "hosts join with `manage.py node add`",
    "kubernetes.io/dockercfg": f"write type: {_DOCKER_CONFIG}",
}

IN_PLAIN_TEXT = "a Secret in plain text in Git can be read by everyone who reads the repository"
"""Not told of a file that was decrypted."""
ENCRYPT = "give it new values and encrypt the file with sops: `manage.py repository age-key` says for whom"


def config_map(found: ConfigMap) -> Iterator[Finding]:
    for field, keys in (("data", found.data), ("binaryData", found.binary_data)):
        for key in keys:
            yield from names.config_key(key, (field, key))
    for key in sorted(found.data.keys() & found.binary_data.keys()):
        yield Finding(("binaryData", key), "stands in data as well", "remove one of the two")
    size = sum(len(value.encode()) for value in found.data.values())
    for key, value in found.binary_data.items():
        decoded = _decoded(value)
        if decoded is None:
            yield Finding(("binaryData", key), "is not base64", "encode it: base64 -w0 FILE")
        size += len(decoded or b"")
    yield from _size(size, "data" if found.data else "binaryData")


def secret(found: Secret) -> Iterator[Finding]:
    if found.data or found.string_data:
        yield Finding(("data" if found.data else "stringData",), IN_PLAIN_TEXT, ENCRYPT, is_warning=True)
    values: dict[str, bytes] = {}
    for key, value in found.data.items():
        yield from names.config_key(key, ("data", key))
        decoded = _decoded(value)
        if decoded is None and key not in found.string_data:
            yield Finding(("data", key), "is not base64", "encode it, or write it as text under stringData")
        values[key] = decoded or b""
    for key, value in found.string_data.items():
        yield from names.config_key(key, ("stringData", key))
        values[key] = value.encode()
    yield from _size(sum(len(value) for value in values.values()), "data" if found.data else "stringData")
    yield from _type(found.type, values)
    if found.type == TLS_TYPE and values.get(CERTIFICATE) and values.get(KEY):
        yield from _pair(found, values[CERTIFICATE], values[KEY])


def folded(found: Secret) -> dict[str, str]:
    """`data` with `stringData` in base64 over it, as Kubernetes stores it."""
    texts = {key: base64.b64encode(value.encode()).decode() for key, value in found.string_data.items()}
    return {**{key: "".join(value.split()) for key, value in found.data.items()}, **texts}


def _type(kind: str, values: Mapping[str, bytes]) -> Iterator[Finding]:
    if kind in _REFUSED_TYPES:
        yield Finding(("type",), f"{kind} is not supported", _REFUSED_TYPES[kind])
        return
    for key in _NEEDED.get(kind, ()):
        if key not in values:
            yield Finding(("data", key), f"is required for type: {kind}", "add it, or use type: Opaque")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & values.keys():
        yield Finding(("data",), f"needs username or password for type: {kind}", "add one of them")
    if kind == _DOCKER_CONFIG and ".dockerconfigjson" in values and not _is_docker_config(values[".dockerconfigjson"]):
        remedy = "encode the JSON that `docker login` writes to config.json"
        yield Finding(("data", ".dockerconfigjson"), "is not a Docker configuration", remedy)


def _pair(found: Secret, certificate: bytes, key: bytes) -> Iterator[Finding]:
    """Empty ones are let be: they are filled in later, or an Ingress complains (`marks`)."""
    problem = pair_problem(certificate, key)
    if problem is not None:
        field = "stringData" if problem.part in found.string_data else "data"
        yield Finding((field, problem.part), problem.message, problem.remedy)


def _is_docker_config(value: bytes) -> bool:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("auths"), dict)


def _size(size: int, field: str) -> Iterator[Finding]:
    if size > MAX_BYTES:
        yield Finding((field,), f"holds {size} bytes, {MAX_BYTES} (1 MiB) are the limit", "split it")


def _decoded(value: str) -> bytes | None:
    """Line breaks are allowed, as Go's decoder skips them."""
    try:
        return base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return None
