"""Image policies: that they can be read, stand where they are looked for, and name containers that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployer.core.images.policy import ANNOTATION, BadPolicy, Policy, parse_policies
from deployer.core.images.reference import BadReference, parse_reference
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.pod import PodSpec

_PLACE: Path = ("metadata", "annotations", ANNOTATION)
_IN_TEMPLATE: Path = ("spec", "template", *_PLACE)


def misplaced(annotations: Mapping[str, str]) -> Iterator[Finding]:
    if ANNOTATION in annotations:
        yield Finding(_PLACE, "is for Deployments and Rollouts", "remove it, or write a Deployment")


def of_workload(annotations: Mapping[str, str], template: Mapping[str, str], pod: PodSpec) -> Iterator[Finding]:
    if ANNOTATION in template:
        remedy = "write it among the workload's own annotations"
        yield Finding(_IN_TEMPLATE, "is not looked for in the template", remedy)
    if ANNOTATION not in annotations:
        return
    try:
        found = parse_policies(annotations[ANNOTATION])
    except BadPolicy as wrong:
        yield Finding(_PLACE, str(wrong), "see the README's chapter on image updates")
        return
    images = {one.name: one.image for one in (*pod.containers, *pod.init_containers)}
    for policy in found:
        yield from _of_container(policy, images)


def _of_container(policy: Policy, images: Mapping[str, str]) -> Iterator[Finding]:
    if policy.container not in images:
        known = ", ".join(sorted(images))
        yield Finding(_PLACE, f"there is no container {policy.container}", f"containers that are there: {shown(known)}")
        return
    try:
        reference = parse_reference(images[policy.container])
    except BadReference:
        return  # its own check says so
    if policy.kind == "digest" and not reference.effective_tag:
        message = f"the image of {policy.container} has a digest and no tag whose digest could be followed"
        yield Finding(_PLACE, message, "write the tag before the digest: NAME:TAG@sha256:...")
