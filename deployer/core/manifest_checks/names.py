"""How things may be called: Kubernetes' rules for names, labels and keys (apimachinery, util/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from deployer.core.manifest_checks.finding import Finding, Path, shown

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"[a-z0-9](-?[a-z0-9])*")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ENVIRONMENT = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_ANNOTATIONS_BYTES = 256 * 1024

_LABEL_REMEDY = "use lower-case letters, digits and '-', starting and ending with a letter or digit"


def dns_label(name: str, path: Path, longest: int = 63) -> Iterator[Finding]:
    """RFC 1123 label: what containers, volumes, namespaces and everything that becomes a host name must be."""
    yield from _named(name, path, _LABEL, longest, _LABEL_REMEDY)


def dns_subdomain(name: str, path: Path) -> Iterator[Finding]:
    """RFC 1123 subdomain of at most 253 characters: config maps, secrets, pods, image pull secrets."""
    yield from _named(name, path, _SUBDOMAIN, 253, f"{_LABEL_REMEDY}; '.' between such parts")


def service_name(name: str, path: Path) -> Iterator[Finding]:
    """RFC 1035 label: a service's name cannot start with a digit."""
    yield from _named(name, path, _SERVICE, 63, "use lower-case letters, digits and '-', starting with a letter")


def port_name(name: str, path: Path) -> Iterator[Finding]:
    """IANA service name: at most 15 characters, with a letter, without `--`."""
    remedy = "use lower-case letters, digits and single '-', with at least one letter, 15 characters at most"
    if not _PORT_NAME.fullmatch(name) or len(name) > 15 or not re.search(r"[a-z]", name):
        yield Finding(path, f'"{shown(name)}" is not a port name', remedy)


def config_key(key: str, path: Path) -> Iterator[Finding]:
    """A key of a config map or secret, which may become a file name."""
    if not _CONFIG_KEY.fullmatch(key) or len(key) > 253 or key.startswith(("..",)) or key == ".":
        yield Finding(path, "is not a valid key", "use letters, digits, '-', '_' and '.', 253 characters at most")


def environment_name(name: str, path: Path) -> Iterator[Finding]:
    if not _ENVIRONMENT.fullmatch(name):
        remedy = "use letters, digits, '_', '-' and '.', not starting with a digit"
        yield Finding(path, f'"{shown(name)}" is not a name for a variable', remedy)


def check_labels(found: Mapping[str, str], path: Path) -> Iterator[Finding]:
    for key, value in found.items():
        yield from label_key(key, (*path, key))
        yield from label_value(value, (*path, key))


def check_annotations(found: Mapping[str, str], path: Path) -> Iterator[Finding]:
    for key in found:
        yield from label_key(key, (*path, key), case="any")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in found.items())
    if size > _ANNOTATIONS_BYTES:
        yield Finding(path, f"hold {size} bytes, the limit is {_ANNOTATIONS_BYTES}", "move the data into a ConfigMap")


def label_key(key: str, path: Path, case: str = "") -> Iterator[Finding]:
    """`name` or `prefix/name`: the name of 63 characters, the prefix a DNS subdomain (of annotations in any case)."""
    prefix, slash, name = key.rpartition("/")
    prefix = prefix.lower() if case == "any" else prefix
    wrong_prefix = bool(slash) and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > 253)
    if wrong_prefix or not _QUALIFIED.fullmatch(name) or len(name) > 63:
        remedy = "write name or example.com/name: letters, digits, '-', '_' and '.', 63 characters at most"
        yield Finding(path, f'"{shown(key)}" is not a valid key', remedy)


def label_value(value: str, path: Path) -> Iterator[Finding]:
    if value and (not _QUALIFIED.fullmatch(value) or len(value) > 63):
        remedy = "use letters, digits, '-', '_' and '.', letter or digit first and last, 63 characters at most"
        yield Finding(path, f'"{shown(value)}" is not a label value', f"{remedy}; other text goes into an annotation")


def unique(names: Iterable[tuple[str, Path]], what: str) -> Iterator[Finding]:
    """One finding for each name that was there before; empty names do not count."""
    seen: set[str] = set()
    for name, path in names:
        if name and name in seen:
            yield Finding(path, f'"{shown(name)}" is the name of two {what}', "rename one of them")
        seen.add(name)


def _named(name: str, path: Path, pattern: re.Pattern[str], longest: int, remedy: str) -> Iterator[Finding]:
    if not name:
        yield Finding(path, "must not be empty", remedy)
    elif len(name) > longest:
        yield Finding(path, f'"{shown(name)}" has {len(name)} characters, {longest} are the limit', "shorten it")
    elif not pattern.fullmatch(name):
        yield Finding(path, f'"{shown(name)}" is not a valid name', remedy)
