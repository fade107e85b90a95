"""A Compose file and what it becomes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from deployer.core.compose.convert import convert
from deployer.core.manifests import ReadResult
from deployer.core.rendering.rendered import read_rendered
from deployer.core.rendering.ways import way_of
from deployer.core.repository import SourceFile, SourceTree


@dataclass
class Converted:
    objects: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    read: ReadResult = field(default_factory=lambda: ReadResult((), (), ()))

    @property
    def pod(self) -> dict[str, Any]:
        """Of the only Deployment, or of `web`."""
        found: dict[str, Any] = self.objects["Deployment web"]["spec"]["template"]["spec"]
        return found

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pod["containers"][0]
        return found


def converted(text: str, files: dict[str, str | bytes] | None = None) -> Converted:
    """`text` is compose.yaml."""
    every = {"compose.yaml": text, **(files or {})}
    held = tuple(
        SourceFile(path, data if isinstance(data, bytes) else data.encode()) for path, data in sorted(every.items())
    )
    rendered = convert(SourceTree(held, ()), way_of("", every), "shop")
    made = [json.loads(piece.data) for piece in rendered.pieces]
    read = read_rendered(rendered, default_namespace="shop", policies={})
    return Converted(
        {f"{one['kind']} {one['metadata']['name']}": one for one in made},
        [str(error) for error in rendered.errors], [str(one) for one in rendered.warnings], read,
    )  # fmt: skip


def service(fields: str, files: dict[str, str | bytes] | None = None, more: str = "") -> Converted:
    """One service `web` with these lines, its image on line 3, `fields` from line 4 on."""
    lines = "".join(f"    {line}\n" for line in fields.splitlines())
    return converted(f"services:\n  web:\n    image: shop/web:1\n{lines}{more}", files)
