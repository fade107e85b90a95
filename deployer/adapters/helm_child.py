"""The process in which Helm's library is loaded: one chart in, JSON of template -> text out, or {"error": why}."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(asked: dict[str, Any]) -> dict[str, Any]:
    import helm_python

    try:
        with helm_python.Chart.load(asked["chart"]) as chart:
            chart.validate_schema(asked["values"])
            return {"manifests": chart.render(asked["values"], name=asked["name"], namespace=asked["namespace"])}
    except (helm_python.HelmError, OSError, ValueError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
