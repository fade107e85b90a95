"""What commits came to, kept with their attempts: compressed, once for all equal ones, gone with the last of them."""

from __future__ import annotations

import zlib

from control.models import RenderedManifests, Sync
from deployer.core.rendering.kept import Kept


def keep(kept: Kept) -> RenderedManifests | None:
    """The row for it, in the caller's transaction; None when there is nothing to keep."""
    if not kept.text:
        return None
    digest = kept.digest
    if not RenderedManifests.objects.filter(pk=digest).exists():
        content = zlib.compress(kept.text.encode(), 6)
        RenderedManifests.objects.bulk_create(
            [RenderedManifests(digest=digest, way=kept.way, count=kept.count, content=content)], ignore_conflicts=True
        )
    return RenderedManifests.objects.select_for_update().defer("content").get(pk=digest)


def forget_unused() -> None:
    RenderedManifests.objects.exclude(pk__in=Sync.objects.exclude(rendered=None).values("rendered")).delete()
