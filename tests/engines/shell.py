"""Management commands in one warm process: a story asks hundreds of times, and a start costs half a second.

Reads a JSON list of arguments a line, answers a JSON object a line: {code, out, err}. Started with PIERHEAD_DATA set;
everything runs through the commands' own entry, exit codes included.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control.settings")
    from django.core.management import execute_from_command_line

    answers = sys.stdout
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                execute_from_command_line(["manage.py", *json.loads(line)])
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        answers.write(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
