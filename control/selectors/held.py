"""What somebody decided about an application's workloads beside what Git says: self-heal leaves it alone."""

from __future__ import annotations

from control.models import Application, Deployment
from control.models.workloads import scaled
from control.selectors.words import sentence
from deployer.core.held import held


def held_lines(application: Application) -> tuple[str, ...]:
    """A sentence for each workload that is held: "Deployment shop/web: 5 replicas by ann, Git says 3". One query."""
    rows = Deployment.objects.filter(application=application, deleted_at=None).order_by("namespace", "name")
    columns = ("namespace", "name", "workload", "spec", "scale", "pin", "paused", "image_pins", "live_hash")
    found = ((str(row), "; ".join(_parts(row))) for row in rows.only(*columns))
    return tuple(sentence(f"{title}: {parts}") for title, parts in found if parts)


def _parts(row: Deployment) -> list[str]:
    images = {container: str(pin["image"]) for container, pin in row.image_pins.items()}
    return list(held(
        replicas=scaled(row.spec.get("replicas"), {}), scale=row.scale if row.is_scaled else {},
        pin=row.pin if row.pin.get("skipped_hash") == row.live_hash else {}, paused=row.paused, images=images,
    ))  # fmt: skip
