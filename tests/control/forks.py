"""`manage.py` in processes of their own that need not start: each is a fork of one that has loaded everything.

A start costs more than a second of processor, and most commands less than a tenth of one. The forks read their settings
anew, from the environment that they are given, and go through manage.py's own entry: what they do differs from a start
in nothing but what is loaded already. Nothing here has touched a database before it forks.

done = run(["get", "pods"], {"PIERHEAD_DATA": "/tmp/x"})
done.returncode, done.stdout, done.stderr
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2]
SECONDS = 60
"""The longest that a command may take."""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(words: Sequence[str], environment: Mapping[str, str]) -> Done:
    """`manage.py WORDS` with this environment and no other. After SECONDS it is ended, with -SIGALRM as its code."""
    server = _server()
    assert server.stdin
    assert server.stdout
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name, "out"), Path(name, "err")
        server.stdin.write(json.dumps([list(words), dict(environment), str(out), str(err)]) + "\n")
        server.stdin.flush()
        code = server.stdout.readline()
        assert code, "the process that forks is gone"
        return Done(int(code), out.read_text(errors="replace"), err.read_text(errors="replace"))


@functools.cache
def _server() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.control.forks"], cwd=HOME, stdin=pipe, stdout=pipe, text=True
    )
    atexit.register(server.communicate)
    return server


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    _load()
    for line in sys.stdin:
        answers.write(f"{_forked(*json.loads(line))}\n")
        answers.flush()


def _load() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "control.settings"
    import django

    django.setup()
    commands = importlib.import_module("control.management.commands")
    for name in ("control.urls", "control.management.columns", "deployer.composition", "manage"):
        importlib.import_module(name)
    for module in pkgutil.iter_modules(commands.__path__, "control.management.commands."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def _forked(words: list[str], environment: dict[str, str], out: str, err: str) -> int:
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code: Any = 1
    try:
        signal.alarm(SECONDS)
        for number, path in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
        os.environ.clear()
        os.environ.update(environment)
        _forget_settings()
        code = _ran(words)
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here, and says it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ran(words: list[str]) -> int:
    try:
        importlib.import_module("manage").main(["manage.py", *words])
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _forget_settings() -> None:
    """And what Django keeps of them; they are read again by whoever asks first."""
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connections
    from django.utils.functional import empty

    for handler in (connections, caches):
        for alias in handler.settings:
            if hasattr(handler._connections, alias):  # made, and never opened: for a name of its kind
                del handler[alias]
        del handler.settings
        handler._settings = None
    sys.modules.pop("control.settings", None)
    settings._wrapped = empty


if __name__ == "__main__":
    main()
