"""Whatever a Compose file says is answered: with objects, or with errors that name the file and say what to do."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.compose.convert import _HONOURED
from deployer.core.compose.words import Unreadable, port_range, seconds, short_ports, size_bytes
from tests.core.compose.projects import converted

WORDS = st.sampled_from([
    "", "a", "web", "db", "80", "8080:80", "1-3:4-6", "10s", "1m30s", "512m", "0.5", "true", "no", "./a:/b:ro", "/c",
    "data:/d", "A=1", "A", "${A:-b}", "$A", "node.labels.a==b", "CMD", "NONE", "host", "always", "x" * 70, "-1", "1e9",
])  # fmt: skip
KEYS = st.sampled_from(sorted({
    *_HONOURED, "test", "interval", "file", "source", "target", "published", "mode", "limits", "resources", "cpus",
    "size", "placement", "constraints", "aliases", "condition", "service", "web", "db", "type", "external", "content",
    "x-a", "update_config", "restart_policy", "preferences", "spread", "path", "required", "read_only", "tmpfs",
}))  # fmt: skip
VALUES = st.recursive(
    st.one_of(WORDS, st.none(), st.booleans(), st.integers(-1, 70_000)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
SECTIONS = st.sampled_from(["networks", "configs", "secrets", "volumes", "name", "x-b"])
SERVICE = st.dictionaries(KEYS, VALUES, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.one_of(SERVICE, VALUES), SERVICE, st.dictionaries(SECTIONS, VALUES, max_size=3))
def test_any_file_is_answered(web: Any, other: dict[str, Any], more: dict[str, Any]) -> None:
    text = json.dumps({"services": {"web": web, "db": {"image": "postgres", **other}}, **more})
    files: dict[str, str | bytes] = {"a": "x", "compose.override.yaml": json.dumps({"services": {"db": web}})}
    found = converted(text, files)
    assert not (found.objects and found.errors)
    assert all(error.startswith(("compose.yaml", "compose.override.yaml", ".env")) for error in found.errors)
    assert found.objects == converted(text, files).objects


@given(st.text(alphabet="0123456789:-/.udptcsmhkgb[] ", max_size=20))
def test_small_languages_answer_any_text(text: str) -> None:
    for reader in (short_ports, port_range, seconds, size_bytes):
        try:
            list(reader(text)) if reader in (short_ports, port_range) else reader(text)  # type: ignore[operator]
        except Unreadable as why:
            assert why.message
            assert why.remedy
