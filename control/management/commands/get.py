"""`manage.py get KIND [NAME ...]`: objects as a table, or in Kubernetes' JSON or YAML."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any

from control.management.columns import lines
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure
from control.management.output import as_json, as_yaml, table
from control.selectors.kinds import ALL, Kind, find_kinds
from control.selectors.labels import BadSelector, Test, parse_selector
from control.selectors.objects import find, row_name

WATCH_SECONDS = 0.3


class Command(PierheadCommand):
    help = "Shows objects: get pods, get deploy web -o json, get all -A, get nodes -o wide."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_kind_arguments(parser)
        parser.add_argument("-o", "--output", choices=("json", "yaml", "wide", "name"), help="another form")
        parser.add_argument("-l", "--selector", type=selector, help="labels: app=web,tier!=db,env in (a,b)")
        parser.add_argument("-w", "--watch", action="store_true", help="go on and show what changes")
        parser.add_argument("--no-headers", action="store_true", help="without the first line of a table")

    def handle(self, **options: Any) -> None:
        kinds, names = kinds_and_names(options["kind"], options["name"])
        if options["watch"] and options["output"] not in (None, "wide"):
            raise Failure("--watch shows lines: leave out -o, or use -o wide")
        namespace = None if options["all_namespaces"] else options["namespace"]
        found = [(kind, find(kind, namespace, names, options["selector"])) for kind in kinds]
        match options["output"]:
            case "json" | "yaml":
                body = documents(found, single=len(names) == 1 and len(kinds) == 1)
                self.stdout.write(as_json(body) if options["output"] == "json" else as_yaml(body), ending="")
            case "name":
                for kind, rows in found:
                    self.stdout.write("".join(f"{kind.prefix}/{row_name(kind, row)}\n" for row in rows), ending="")
            case form:
                self._tables(found, namespace, wide=form == "wide", heading=not options["no_headers"])
        if options["watch"]:
            self._watch(kinds, namespace, names, options)

    def _tables(
        self, found: list[tuple[Kind, list[Any]]], namespace: str | None, *, wide: bool, heading: bool = True
    ) -> None:
        shown = [(kind, rows) for kind, rows in found if rows]
        if not shown:
            where = (
                f" in namespace {namespace}" if namespace is not None and any(k.namespaced for k, _ in found) else ""
            )
            self.stderr.write(f"No resources found{where}.")
        for position, (kind, rows) in enumerate(shown):
            text = kind_table(kind, rows, namespace, wide=wide, prefixed=len(found) > 1, heading=heading)
            self.stdout.write(("\n" if position else "") + text, ending="")

    def _watch(self, kinds: list[Kind], namespace: str | None, names: list[str], options: dict[str, Any]) -> None:
        """Looks again and again, and prints the lines that read otherwise than before. Ends with Ctrl-C."""
        seen: dict[tuple[str, Any], str] = {}
        first = True
        while True:
            for kind in kinds:
                rows = find(kind, namespace, (), options["selector"])
                rows = [row for row in rows if not names or row_name(kind, row) in names]
                fresh = still_lines(kind, rows)
                changed = [row for row in rows if seen.get((kind.name, row.pk)) != fresh[kind.name, row.pk]]
                seen.update(fresh)
                if changed and not first:
                    wide, prefixed = options["output"] == "wide", len(kinds) > 1
                    text = kind_table(kind, changed, namespace, wide=wide, prefixed=prefixed, heading=False)
                    self.stdout.write(text, ending="")
                    self.stdout.flush()
            first = False
            time.sleep(WATCH_SECONDS)


def add_kind_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        metavar="KIND",
        help="pods, deploy, rs, svc, ep, ing, netpol, cm, secrets, ns, nodes, ev, app, repo, syncs; all",
    )
    parser.add_argument("name", nargs="*", metavar="NAME")
    parser.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces")


def kinds_and_names(kind: str, names: Sequence[str]) -> tuple[list[Kind], list[str]]:
    """`pods web-1`, `pod/web-1` and `deploy,svc` alike."""
    word, slash, name = kind.partition("/")
    if slash and name:
        return find_kinds(word), [name, *names]
    kinds = find_kinds(kind)
    if names and (len(kinds) > 1 or kind == ALL):
        raise Failure("a name needs one kind: write `get KIND NAME` or `get KIND/NAME`")
    return kinds, list(names)


def documents(found: list[tuple[Kind, list[Any]]], *, single: bool) -> dict[str, Any]:
    """One object by its name, else a List."""
    from control.selectors.kubernetes_objects import as_list, render_all

    now = time.time()
    items = [item for kind, rows in found for item in render_all(kind.name, rows, now)]
    return items[0] if single and len(items) == 1 else as_list(items)


def kind_table(
    kind: Kind,
    rows: list[Any],
    namespace: str | None,
    *,
    wide: bool = False,
    prefixed: bool = False,
    heading: bool = True,
) -> str:
    """A table with kubectl's columns; the namespace is the first one when all are shown."""
    header, cells = lines(kind, rows, time.time(), wide=wide)
    if prefixed:
        for line in cells if header[0] == "NAME" else ():
            line[0] = f"{kind.prefix}/{line[0]}"
    if namespace is None and kind.namespaced:
        header, cells = ["NAMESPACE", *header], [[row.namespace, *line] for row, line in zip(rows, cells, strict=True)]
    return table(header, cells, heading=heading)


def selector(text: str) -> Test:
    try:
        return parse_selector(text)
    except BadSelector as error:
        raise ArgumentTypeError(str(error)) from error


def still_lines(kind: Kind, rows: list[Any]) -> dict[tuple[str, Any], str]:
    """What each row's line says but for its ages: the clock stands still at 0."""
    _, cells = lines(kind, rows, 0.0, wide=True)
    return {(kind.name, row.pk): str(line) for row, line in zip(rows, cells, strict=True)}
