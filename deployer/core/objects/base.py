"""What every typed Kubernetes object here is made of.

The models in this folder are the *supported* part of Kubernetes' API: a field that stands here is honoured, any
other field of the kind is refused by name (`extra="forbid"`), and the support table in the README is made from the
difference between these models and Kubernetes' own schema. They hold no behaviour beyond reading: deciding is done
elsewhere. Attribute names are Kubernetes' in snake_case, manifests keep camelCase.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Spec(BaseModel):
    """A frozen, strict piece of a manifest. Unknown fields are errors; camelCase in, snake_case inside."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


def _none_as_empty_map(value: Any) -> Any:
    return {} if value is None else value


def _none_as_empty_list(value: Any) -> Any:
    return [] if value is None else value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


StringMap = Annotated[dict[str, str], BeforeValidator(_none_as_empty_map)]
"""Labels, annotations, selectors. `null` is an empty map, as in Kubernetes."""

Quantity = Annotated[str, BeforeValidator(_as_text)]
"""A Kubernetes quantity kept as written (`500m`, `1Gi`, `2`); read it with `quantity.py`."""

QuantityMap = Annotated[dict[str, Quantity], BeforeValidator(_none_as_empty_map)]
EmptyList = BeforeValidator(_none_as_empty_list)
"""Annotate a tuple field with this so that `null` means empty, as in Kubernetes."""
