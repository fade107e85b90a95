"""What stands beside a workload's spec because somebody decided it: no drift, and never put back by self-heal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def held(
    *, replicas: int, scale: Mapping[str, Any], pin: Mapping[str, Any], paused: bool, images: Mapping[str, str]
) -> Iterator[str]:
    """Parts of a sentence, such as "5 replicas by ann, Git says 3". `replicas` is what Git says; `scale` and `pin` as
    they are in force, {} for none; `images` (container -> image) those that a policy chose."""
    if scale:
        yield f"{scale['replicas']} replicas by {scale['by']}, Git says {replicas}"
    if pin:
        yield f"pinned to revision {pin['revision']}: {pin['reason']}"
    if paused:
        yield "paused by hand"
    for container, image in sorted(images.items()):
        yield f"the image of {container} is {image}, by its policy"
