"""What a pod may say about where it runs: selectors, affinity, tolerations, topology spread (core/v1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deployer.core.objects.base import EmptyList, Spec, StringMap


class SelectorRequirement(Spec):
    """One row of `matchExpressions`; `Gt` and `Lt` exist for nodes only."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: Annotated[tuple[str, ...], EmptyList] = ()


class LabelSelector(Spec):
    match_labels: StringMap = Field(default_factory=dict)
    match_expressions: Annotated[tuple[SelectorRequirement, ...], EmptyList] = ()


class NodeSelectorTerm(Spec):
    match_expressions: Annotated[tuple[SelectorRequirement, ...], EmptyList] = ()
    match_fields: Annotated[tuple[SelectorRequirement, ...], EmptyList] = ()


class NodeSelector(Spec):
    node_selector_terms: tuple[NodeSelectorTerm, ...] = Field(min_length=1)


class PreferredNodeTerm(Spec):
    weight: int = Field(ge=1, le=100)
    preference: NodeSelectorTerm


class NodeAffinity(Spec):
    required: NodeSelector | None = Field(default=None, alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: Annotated[tuple[PreferredNodeTerm, ...], EmptyList] = Field(
        default=(), alias="preferredDuringSchedulingIgnoredDuringExecution"
    )


class PodAffinityTerm(Spec):
    topology_key: str = Field(min_length=1)
    label_selector: LabelSelector | None = None
    namespaces: Annotated[tuple[str, ...], EmptyList] = ()
    namespace_selector: LabelSelector | None = None


class WeightedPodAffinityTerm(Spec):
    weight: int = Field(ge=1, le=100)
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Spec):
    required: Annotated[tuple[PodAffinityTerm, ...], EmptyList] = Field(
        default=(), alias="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: Annotated[tuple[WeightedPodAffinityTerm, ...], EmptyList] = Field(
        default=(), alias="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Spec):
    node_affinity: NodeAffinity = Field(default_factory=NodeAffinity)
    pod_affinity: PodAffinity = Field(default_factory=PodAffinity)
    pod_anti_affinity: PodAffinity = Field(default_factory=PodAffinity)


class Toleration(Spec):
    key: str = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None


class TopologySpreadConstraint(Spec):
    max_skew: int = Field(ge=1)
    topology_key: str = Field(min_length=1)
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    min_domains: int | None = Field(default=None, ge=1)
    match_label_keys: Annotated[tuple[str, ...], EmptyList] = ()
