"""A revision that is held by a pin, made anew with another template: restarted, or moved onto another network.

It keeps its commit, its images and the content of its config; only the template differs, and so its hash.
"""

from __future__ import annotations

from typing import Any

from control.models import Deployment, ReplicaSet
from control.store import objects, templates
from deployer.core.objects.template import config_digest, template_hash


def variant(row: Deployment, held: ReplicaSet, template: dict[str, Any]) -> ReplicaSet:
    """The replica set of this template, made as the newest revision where there is none yet."""
    fresh_hash = template_hash(template, config_digest(_kept(held)))
    known = row.replica_sets.filter(template_hash=fresh_hash).first()
    if known is not None:
        return known
    made = ReplicaSet(
        namespace=row.namespace, name=f"{row.name}-{fresh_hash}", labels=held.labels, application_id=row.application_id,
        commit=held.commit, spec={"template": template}, deployment=row, template_hash=fresh_hash,
        revision=max(row.replica_sets.values_list("revision", flat=True)) + 1, images=held.images,
    )  # fmt: skip
    made.config.store(held.config.load())
    objects.create([made])
    return made


def follow_isolation(row: Deployment) -> None:
    """Whether a policy selects a Deployment has changed, and nothing else: its pin stays, on the other network."""
    if not row.pin:
        return
    row.pin = {**row.pin, "skipped_hash": row.live_hash}
    held = row.replica_sets.filter(template_hash=row.pin["template_hash"]).first()
    if held is not None and held.spec:
        begins = templates.is_annotated(templates.live_template(row))
        template = (templates.isolated if begins else templates.shared)(held.spec["template"])
        row.pin["template_hash"] = variant(row, held, template).template_hash
    objects.update([row], ["pin"])


def _kept(held: ReplicaSet) -> templates.Contents:
    return {
        (full.partition("/")[0], full.partition("/")[2]): dict(values) for full, values in held.config.load().items()
    }
