"""An empty database of its own, for a benchmark that runs the loops in this process."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

CLUSTER = "0123456789ab"
"""That of `tests.scenarios.world`: processes that are started on the folder know its hosts' containers for theirs."""


@contextlib.contextmanager
def empty_database() -> Iterator[Path]:
    """Sets Django up on a data folder that goes away; nothing of the program may have been imported before."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cluster").write_text(f"{CLUSTER}\n")
        os.environ["PIERHEAD_DATA"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "control.settings"
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield Path(folder)
