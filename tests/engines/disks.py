"""A file system of a size of its own for an engine's data, in memory: one that can be filled without harm to others."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make(folder: Path, size_bytes: int) -> None:
    """Before anything enters a view of the mounts of its own: those that come later see it, too."""
    folder.mkdir(mode=0o711)
    options = f"size={size_bytes},mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, timeout=20)


def remove(folder: Path) -> None:
    """Those in or below `folder`, if there are any. What was on them is gone."""
    mounted = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    for place in [one for one in mounted if f"{one}/".startswith(f"{folder}/")]:
        subprocess.run(["umount", "-l", place], check=True, timeout=20)
