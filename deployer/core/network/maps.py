"""Map files: where everything lives that comes from a manifest as free text, or changes while HAProxy runs.

A line is a key, a space and a value. Whatever has white space or control characters in it is no key and no value: a
path is escaped as URLs escape (`path_word`), anything else is refused by whoever makes the entry (`is_word`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from deployer.core.network.values import FOLDER

CHECK_HOST = "maps/check-host.map"
CHECK_PATH = "maps/check-path.map"
HEADER_ROUTES = "maps/header-routes.map"
INGRESS_DEFAULT = "maps/ingress-default.map"
INGRESS_EXACT = "maps/ingress-exact.map"
INGRESS_PREFIX = "maps/ingress-prefix.map"
INGRESS_TLS = "maps/ingress-tls.map"
MESH = "maps/mesh.map"
REVISIONS = "maps/revisions.map"
STICKY = "maps/sticky.map"
WEIGHTS = "maps/weights.map"
FIRST = (WEIGHTS, HEADER_ROUTES)
"""Those that somebody waits for: by them a canary gets no more traffic."""
ALWAYS = (CHECK_HOST, CHECK_PATH, INGRESS_DEFAULT, INGRESS_EXACT, INGRESS_PREFIX, INGRESS_TLS, MESH, REVISIONS)
"""Those that every configuration has, empty or not."""
_KEPT = "/?&=:@!$'()*+,;~-._%[]|"
_LONGEST = 2048


def map_path(name: str) -> str:
    """The file in the router's container: "maps/mesh.map" -> "/pierhead/maps/mesh.map"."""
    return f"{FOLDER}/{name}"


def policy_map(backend: str) -> str:
    return f"maps/policy.{backend}.map"


def map_text(entries: Mapping[str, str]) -> str:
    """The file's content, sorted, one entry a line."""
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def is_word(text: str) -> bool:
    """Whether it may be a key or a value: printable ASCII without a space, not the start of a comment."""
    return 0 < len(text) <= _LONGEST and not text.startswith("#") and all("!" <= letter <= "~" for letter in text)


def path_word(path: str) -> str:
    """A path (and query) as it goes over the wire: everything that is no URL character is escaped, "" is "/"."""
    return quote(path, safe=_KEPT, errors="replace") or "/"
