"""`pk__among=[...]`: `__in` for thousands of values, as one parameter.

`__in` spells a variable for each value: Django prepares them one by one, and SQLite refuses a statement with more than
it was built for. Here the list goes as JSON that SQLite reads itself, or as an array to PostgreSQL.
"""

from __future__ import annotations

import json
from typing import Any

from django.db.models import CharField, Lookup
from django.db.models.sql.compiler import SQLCompiler


@CharField.register_lookup
class Among(Lookup):
    """Of a column of text; any iterable of `str`."""

    lookup_name = "among"

    def get_prep_lookup(self) -> list[str]:
        return [str(one) for one in self.rhs]

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, Any]:
        column, parameters = self.process_lhs(compiler, connection)
        if connection.vendor == "sqlite":
            listed = "SELECT value FROM json_each(%s)"
            return f"{column} IN ({listed})", [*parameters, json.dumps(self.rhs)]
        return f"{column} = ANY(%s)", [*parameters, self.rhs]
