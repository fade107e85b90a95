"""A repository as a dict, looked at as the collectors look at Git's mirror."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from deployer.core.rendering.collecting import MISSING, Asked, Collected, Found
from deployer.core.rendering.needs import collect
from deployer.core.rendering.ways import Way

LINK = Found("link")


class Picture:
    """`files`: path -> text, or what else stands there. Counts the rounds."""

    def __init__(self, files: Mapping[str, str | Found]) -> None:
        self.files, self.rounds = files, 0

    def __call__(self, asked: Asked) -> Mapping[str, Found]:
        self.rounds += 1
        return {path: self.at(path) for path in asked}

    def at(self, path: str) -> Found:
        if path.endswith("/"):
            prefix, deep = path.rstrip("/") + "/" if path.strip("/") else "", not path.endswith("//")
            below = [one for one in self.files if one.startswith(prefix)]
            return Found("folder", names=tuple(one for one in below if deep or "/" not in one.removeprefix(prefix)))
        found = self.files.get(path)
        if found is None:
            return Found("folder") if any(one.startswith(f"{path}/") for one in self.files) else MISSING
        return found if isinstance(found, Found) else Found("file", found.encode(), digest(found))


def digest(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def collected(way: Way, files: Mapping[str, str | Found], *values: str) -> Collected:
    return collect(way, values, Picture(files))


def told(found: Collected) -> list[str]:
    return [str(error) for error in found.errors]
