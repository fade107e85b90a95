"""Image policies as rows: what is due, what was found, what is pinned, and what is to be committed.

The rows follow the annotation of their Deployment whenever its key comes due, and that is whenever it is written. A
registry is asked once an interval at most, however often a policy is rewritten, hinted at or restarted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control.models import AuditEntry, Deployment, ImagePolicy, Repository
from control.store import objects, pins, templates
from control.store.repositories import access
from control.store.variants import follow_isolation
from deployer.core.images.edit import Change
from deployer.core.images.following import Committed, Followed, Found, Update, short
from deployer.core.images.policy import ANNOTATION, BadPolicy, Policy, parse_policies
from deployer.core.images.reference import BadReference, parse_reference
from deployer.core.source import RepositoryAccess
from deployer.ports import Wake

COMMIT_LOOP = "imagecommit"
ACTOR = "image policy"


def concerns(row: Deployment) -> bool:
    """Whether the loop has anything to do with it."""
    return ANNOTATION in row.annotations or bool(row.image_pins) or row.image_policies.exists()


def followed(uid: str, now: float) -> list[Followed]:
    """The containers with a policy, as they stand; the rows are made to follow the annotation first."""
    row = Deployment.objects.select_related("application__repository").filter(pk=uid).first()
    if row is None:
        return []
    spec = row.spec["template"]["spec"]
    images = {one["name"]: one["image"] for one in (*spec["containers"], *(spec.get("initContainers") or ()))}
    policies = [] if row.deleted_at else [one for one in _policies(row) if one.container in images]
    rows = _follow(row, policies, images, now)
    secrets = [one["name"] for one in spec.get("imagePullSecrets") or ()]
    running = _running(row)
    held = _held(row)
    return [
        found
        for one in policies
        if (found := _followed(row, rows[one.container], one, images[one.container], running, secrets, held))
    ]


def looked(uid: str, found: Sequence[Found], wake: Wake, now: float) -> float | None:
    """Write down what a look led to, and take what is newer. Returns when the next policy is due."""
    row = Deployment.objects.select_related("application").filter(pk=uid).first()
    if row is None:
        return None
    rows = {one.pk: one for one in row.image_policies.all()}
    for one in found:
        if one.uid in rows:
            _looked(row, rows[one.uid], one, wake, now)
    _settle_pins(row, wake)
    if found:
        objects.touch(row.kind, row.namespace, row.name)
    return min((one.due_at for one in rows.values()), default=None)


def wanted(repository: str) -> tuple[RepositoryAccess, list[Update]] | None:
    """What is to be committed to it, in one order; None when it is gone."""
    row = Repository.objects.filter(pk=repository).first()
    if row is None:
        return None
    rows = ImagePolicy.objects.filter(
        deployment__application__repository=row, deployment__deleted_at=None, commits=True
    ).exclude(wanted="")
    return access(row), [_update(one) for one in rows.select_related("deployment__application")]


def committed(repository: str, result: Committed, wake: Wake, now: float) -> None:
    for one in ImagePolicy.objects.select_related("deployment").filter(pk__in=[*result.done, *result.refused]):
        if one.pk in result.refused:
            _write(one, wanted="", why=result.refused[one.pk], failing=True)
            _tell(one.deployment, "Warning", "ImageNotCommitted", one.why, now)
            continue
        before, after = one.image, one.wanted
        why = f"{after} is in Git, as commit {result.commit[:7]}; it comes with the next sync"
        _write(one, wanted="", why=why, failing=False, commit=result.commit, updated_at=now)
        if result.pushed:
            words = f"{before} -> {after} committed as {result.commit[:7]} ({one.rule})"
            _tell(one.deployment, "Normal", "ImageCommitted", words, now)
            _audit("image commit", one.deployment, words, now)
    if result.pushed:
        Repository.objects.filter(pk=repository).update(hinted_at=now)
        wake("poll", repository)


def not_committed(updates: Sequence[Update], sentence: str, now: float) -> None:
    """Git did not take it: told once, and tried again."""
    for one in ImagePolicy.objects.select_related("deployment").filter(pk__in=[update.uid for update in updates]):
        why = f"{one.wanted} waits to be committed: {sentence}"
        if one.why != why:
            _write(one, why=why, failing=True)
            _tell(one.deployment, "Warning", "ImageNotCommitted", why, now)


def _policies(row: Deployment) -> tuple[Policy, ...]:
    """None where they cannot be read: a manifest's are checked before it is written."""
    try:
        return parse_policies(row.annotations[ANNOTATION]) if ANNOTATION in row.annotations else ()
    except BadPolicy:
        return ()


def _follow(row: Deployment, policies: Sequence[Policy], images: dict[str, str], now: float) -> dict[str, ImagePolicy]:
    rows = {one.container: one for one in row.image_policies.all()}
    wanted = {one.container for one in policies}
    ImagePolicy.objects.filter(pk__in=[one.pk for name, one in rows.items() if name not in wanted]).delete()
    for policy in policies:
        known = rows.get(policy.container) or ImagePolicy(deployment=row, container=policy.container)
        said = (str(policy), policy.every_seconds, policy.commits, images[policy.container])
        if known.pk and said == (known.rule, known.every_seconds, known.commits, known.image):
            rows[policy.container] = known
            continue
        if known.image != images[policy.container]:
            known.digest = ""
        known.rule, known.every_seconds, known.commits, known.image = said
        known.wanted, known.why, known.failing = "", "", False
        known.due_at = known.looked_at + known.every_seconds if known.looked_at else now
        known.save()
        rows[policy.container] = known
    return rows


def _followed(
    row: Deployment, known: ImagePolicy, policy: Policy, image: str, running: dict[str, str], secrets: list[str],
    held: str,
) -> Followed | None:  # fmt: skip
    try:
        asked = parse_reference(image)
        current = parse_reference(templates.pinned_image(row, policy.container, image))
    except BadReference:
        return None
    resolved = running.get(str(current), "").rpartition("@")[2]
    return Followed(
        uid=known.pk, container=policy.container, policy=policy, asked=asked, current=current,
        digest=known.digest or (resolved if "@" in running.get(str(current), "") else ""),
        auth=pins.registry_auth(row.namespace, secrets, image), due_at=known.due_at,
        held=held if policy.commits else "",
    )  # fmt: skip


def _running(row: Deployment) -> dict[str, str]:
    """Image as written -> what it was resolved to, of the revision that Git asks for."""
    found = row.replica_sets.filter(template_hash=row.live_hash).values_list("images", flat=True).first()
    return dict(found or {})


def _held(row: Deployment) -> str:
    """Why nothing is committed for it at the moment."""
    application = row.application
    if application is None:
        return "it belongs to no application, so there is no Git to commit to"
    if application.pin:
        return f"application {application.name} is pinned to {str(application.pin.get('commit', ''))[:7]}: resume it"
    return ""


def _looked(row: Deployment, known: ImagePolicy, found: Found, wake: Wake, now: float) -> None:
    known.looked_at = now
    known.due_at = now + max(known.every_seconds, found.retry_after_seconds)
    if found.failed:
        if known.why != found.why:
            objects.record_event(row.kind, row.namespace, row.name, "Warning", "ImageNotFollowed", found.why, at=now)
    else:
        known.found = found.tag
        known.digest = found.known or known.digest
    known.why, known.failing = found.why, found.failed
    if found.wanted and known.commits:
        if known.wanted != found.wanted:
            known.wanted, known.why = found.wanted, f"{found.wanted} waits to be committed"
        wake(COMMIT_LOOP, str(row.application.repository_id if row.application else ""))
    elif found.wanted:
        known.updated_at, known.why = now, f"pinned to {found.wanted}"
        known.digest = found.wanted.rpartition("@")[2]
        _pin(row, known, found.wanted, now)
    known.save()


def _pin(row: Deployment, known: ImagePolicy, image: str, now: float) -> None:
    row.image_pins = {**row.image_pins, known.container: {"instead_of": known.image, "image": image, "at": now}}
    reference = parse_reference(image)
    words = f"container {known.container}: pinned to {reference.tag} at {short(reference.digest)} ({known.rule})"
    objects.record_event(row.kind, row.namespace, row.name, "Normal", "ImagePinned", words, at=now)
    _audit("image pin", row, words, now)


def _settle_pins(row: Deployment, wake: Wake) -> None:
    """Pins that nobody asks for any more go; what is left is in force."""
    images = dict(row.image_policies.filter(commits=False).values_list("container", "image"))
    row.image_pins = {name: pin for name, pin in row.image_pins.items() if images.get(name) == pin["instead_of"]}
    if row.image_pins == Deployment.objects.values_list("image_pins", flat=True).get(pk=row.pk):
        return
    objects.update([row], ["image_pins"])
    changed, moved = templates.refresh_hashes([row.namespace])  # read after that write: nobody else is at it
    for one in moved:
        follow_isolation(one)
    for one in changed:
        wake("reconcile", one.uid)


def _update(one: ImagePolicy) -> Update:
    row = one.deployment
    change = Change(row.kind, row.namespace, row.name, one.container, one.image, one.wanted)
    namespace = row.application.namespace if row.application else "default"
    return Update(one.pk, row.source_file, namespace, change, one.rule)


def _write(row: ImagePolicy, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=[*values])


def _tell(row: Deployment, level: str, reason: str, message: str, now: float) -> None:
    objects.record_event(row.kind, row.namespace, row.name, level, reason, message, at=now)
    objects.touch(row.kind, row.namespace, row.name)


def _audit(action: str, row: Deployment, detail: str, now: float) -> None:
    AuditEntry.objects.create(at=now, actor=ACTOR, action=action, object=str(row), detail=detail, source="Pierhead")
    objects.touch("AuditEntry", "", "")
