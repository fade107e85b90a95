"""`manage.py benchmark [NAME ...]`: runs benchmarks, prints their table, writes it as JSON, compares it with another.

    python3 manage.py benchmark                      every benchmark, one after the other
    python3 manage.py benchmark scheduler judge      these
    python3 manage.py benchmark --list               what there is, and what each needs
    python3 manage.py benchmark --compare old.json   beside an earlier run
    python3 manage.py benchmark --publish            into README.md, with the plot of how cost grows

Each is a script of this folder in a process of its own, so that none sees what another left behind; what one needs and
does not find is said, and the others go on. Peers are measured in the same run on the same hosts, or not at all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.catalogue import CATALOGUE, Benchmark
from tests.benchmarks.figures import COLLECTED, Figure, load, read
from tests.benchmarks.published import publish
from tests.benchmarks.table import TITLES, markdown, rows, text

HOME = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.list:
        _list()
        return 0
    unknown = [name for name in options.names if name not in CATALOGUE]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(CATALOGUE)}", file=sys.stderr)
        return 2
    before = _earlier(options.compare)
    chosen = [CATALOGUE[name] for name in options.names] or list(CATALOGUE.values())
    machine, failed, figures = _machine(), [], list[Figure]()
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['versions']}\n")
    for one in chosen:
        found, code = _run(one)
        figures += found
        failed += [] if code == 0 else [one.name]
        if options.json:  # after each one: a run that is broken off keeps what it has
            _write(options.json, machine, figures, failed)
    if options.publish:
        publish(_kept(machine, figures, failed))
    table = rows(figures, before)
    print("\n" + (markdown if options.markdown else text)(table, TITLES))
    if failed:
        print(f"not measured, or not whole: {', '.join(failed)} (what each said stands above)", file=sys.stderr)
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; without any, all of them")
    parser.add_argument("--list", action="store_true", help="what there is, and what each needs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier run's JSON, to stand beside")
    parser.add_argument("--publish", action="store_true", help="keep the figures, and put their table into README.md")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    return parser.parse_args(arguments)


def _list() -> None:
    lines = [[one.name, one.about, one.needs or "nothing"] for one in CATALOGUE.values()]
    print(text([[name, needs, about] for name, about, needs in lines], ("name", "needs", "measures")), end="")


def _earlier(path: Path | None) -> list[Figure]:
    if path is None:
        return []
    try:
        return [read(one) for one in json.loads(path.read_text(encoding="utf-8"))["figures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} holds no figures of an earlier run: {error}") from None


def _run(one: Benchmark) -> tuple[list[Figure], int]:
    print(f"== {one.name}: {one.about}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        collected = Path(folder) / "figures.jsonl"
        environment = {**os.environ, COLLECTED: str(collected), "PIERHEAD_NO_BOOTSTRAP": "1"}
        command = [sys.executable, "-m", f"tests.benchmarks.{one.module}", *one.arguments]
        code = subprocess.run(command, cwd=HOME, env=environment, check=False).returncode
        found = load(collected)
    print(f"   {len(found)} figures in {time.monotonic() - began:.0f} s, exit code {code}\n", flush=True)
    return found, code


def _write(path: Path, machine: dict[str, Any], figures: list[Figure], failed: list[str]) -> None:
    path.write_text(json.dumps(_kept(machine, figures, failed), indent=1) + "\n", encoding="utf-8")


def _kept(machine: dict[str, Any], figures: list[Figure], failed: list[str]) -> dict[str, Any]:
    return {"at": time.time(), "machine": machine, "failed": failed, "figures": [asdict(one) for one in figures]}


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    kernel = platform.release().partition("-")[0]
    return {
        "processor": _processor(), "cores": os.cpu_count(), "memory_gb": round(memory),
        "versions": f"Linux {kernel}, Python {platform.python_version()}, {_docker()}",
    }  # fmt: skip


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _docker() -> str:
    try:
        said = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except OSError:
        return "no Docker engine"
    return said.strip().partition(",")[0] or "no Docker engine"


if __name__ == "__main__":
    sys.exit(main())
