"""What pods ask for and nodes give: CPU and memory.

A module of its own, for the pages count with it: they must not load the manifests' schemas, as `values.py` does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resources:
    cpu_millicores: int = 0
    memory_bytes: int = 0
