"""A Service whose pods are a canary and others: two backends for each of its ports, and a weight between them."""

from __future__ import annotations

from deployer.core.canary.values import WHOLE

__all__ = ["WHOLE", "canary_backend"]

_CANARY = ":canary"


def canary_backend(name: str) -> str:
    """ "svc.shop.web.80:canary" of "svc.shop.web.80"."""
    return f"{name}{_CANARY}"
