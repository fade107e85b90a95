"""What Pierhead says about the fields of Kubernetes that it does not honour: why, and what to write instead.

One table for two readers: whoever pushed such a field reads it in the error, whoever looks first reads it in the
support table. A field without a row is refused all the same, with a plain sentence.
"""

from __future__ import annotations

_VOLUME = "use configMap, secret, emptyDir, projected or downwardAPI; hostPath where the namespace allows it"
_PRIORITY = "pods have no priority here: remove it"
_ACCOUNT = "there is no Kubernetes API for pods to talk to, and so no service account: remove it"
_NETWORK = "the namespace's network is the same for all its services: remove it"
_HOST_IPC = "sharing more namespaces with the host than network and PID is not offered: remove it"
_EGRESS = (
    "egress is not enforced here: remove it, and write ingress rules for what the pods must not reach; "
    "what is outside belongs into your firewall"
)
_WINDOWS = "hosts run Linux: remove it"
_ROUTER = "Pierhead's own router splits: leave trafficRouting out"
_METADATA = "pods keep the labels and annotations that they began with: remove it"
_ANTI_AFFINITY = "write podAntiAffinity into the template"
_KEPT = "analyses are kept as long as their revision, see revisionHistoryLimit: remove it"
_PROVIDER = (
    "write prometheus, or a plugin: pierhead.io/traffic measures errors, slow requests, rate and latency at the routers"
)
_OLD_PODS = "old pods of one revision at most are kept, for scaleDownDelaySeconds: remove it"

REFUSED_FIELDS: dict[tuple[str, str], str] = {
    ("ObjectMeta", "generateName"): "an object in Git needs a name that stays: write metadata.name",
    ("ObjectMeta", "finalizers"): "nothing would ever remove them: remove the field",
    ("ObjectMeta", "ownerReferences"): "ownership is recorded by Pierhead itself: remove the field",
    ("NamespaceSpec", "finalizers"): "nothing would ever remove them: remove the field",
    ("Probe", "grpc"): "use tcpSocket with the same port, or exec with command: [grpc_health_probe, -addr=:50051]",
    ("Probe", "terminationGracePeriodSeconds"): "the pod's own terminationGracePeriodSeconds holds: set that one",
    ("HTTPGetAction", "host"): "the pod itself is probed: remove it; a name goes into httpHeaders, as Host",
    ("TCPSocketAction", "host"): "the pod itself is probed: remove it",
    ("LifecycleHandler", "httpGet"): "hooks run in the container: use exec, such as command: [wget, -qO-, URL]",
    ("LifecycleHandler", "tcpSocket"): "Kubernetes ignores it: use exec or sleep",
    ("Lifecycle", "stopSignal"): "containers get the image's STOPSIGNAL: set it in the Dockerfile",
    ("Container", "stdinOnce"): "nothing attaches to containers here: remove it",
    ("Container", "resizePolicy"): "a change of resources rolls the pods: remove it",
    ("Container", "restartPolicyRules"): "use the pod's restartPolicy",
    ("Container", "volumeDevices"): "block devices are not supported: use volumeMounts",
    ("EnvVarSource", "fileKeyRef"): "use configMapKeyRef or secretKeyRef",
    ("ResourceRequirements", "claims"): "devices are not scheduled yet: remove it",
    ("VolumeMount", "subPathExpr"): "write the sub-path out, as subPath",
    ("VolumeMount", "mountPropagation"): "mounts do not propagate between containers here: remove it",
    ("VolumeMount", "recursiveReadOnly"): "use readOnly",
    ("SecurityContext", "procMount"): "/proc is mounted as Docker does by default: remove it",
    ("SecurityContext", "seLinuxOptions"): "the host's own SELinux policy holds: remove it",
    ("SecurityContext", "appArmorProfile"): "Docker's default AppArmor profile holds: remove it",
    ("SecurityContext", "windowsOptions"): _WINDOWS,
    ("PodSecurityContext", "seLinuxOptions"): "the host's own SELinux policy holds: remove it",
    ("PodSecurityContext", "seLinuxChangePolicy"): "the host's own SELinux policy holds: remove it",
    ("PodSecurityContext", "appArmorProfile"): "Docker's default AppArmor profile holds: remove it",
    ("PodSecurityContext", "windowsOptions"): _WINDOWS,
    ("PodSecurityContext", "fsGroupChangePolicy"): "volumes get their group before the pod starts: remove it",
    ("PodSecurityContext", "supplementalGroupsPolicy"): "the image's groups are merged in: remove it",
    ("SeccompProfile", "localhostProfile"): "profiles on hosts are not supported: use type RuntimeDefault",
    ("PodSpec", "serviceAccountName"): _ACCOUNT,
    ("PodSpec", "serviceAccount"): _ACCOUNT,
    ("PodSpec", "priorityClassName"): _PRIORITY,
    ("PodSpec", "priority"): _PRIORITY,
    ("PodSpec", "preemptionPolicy"): _PRIORITY,
    ("PodSpec", "hostIPC"): _HOST_IPC,
    ("PodSpec", "hostUsers"): _HOST_IPC,
    ("PodSpec", "shareProcessNamespace"): "containers of a pod see their own processes only: remove it",
    ("PodSpec", "subdomain"): "pods have no DNS names of their own: remove it",
    ("PodSpec", "setHostnameAsFQDN"): "pods have no DNS names of their own: remove it",
    ("PodSpec", "hostnameOverride"): "use hostname",
    ("PodSpec", "dnsConfig"): "pods use Docker's resolver: remove it, or write hostAliases",
    ("PodSpec", "runtimeClassName"): "containers run with the host's default runtime: remove it",
    ("PodSpec", "overhead"): "containers run with the host's default runtime: remove it",
    ("PodSpec", "readinessGates"): "use a readinessProbe",
    ("PodSpec", "schedulingGates"): "remove them to have the pod scheduled",
    ("PodSpec", "schedulingGroup"): "pods of one template are placed together in any case: remove it",
    ("PodSpec", "resourceClaims"): "devices are not scheduled yet: remove it",
    ("PodSpec", "resources"): "set the resources of the containers",
    ("PodSpec", "ephemeralContainers"): "Kubernetes refuses them in manifests too: remove them",
    ("PodSpec", "os"): _WINDOWS,
    ("PodAffinityTerm", "matchLabelKeys"): "write the labels into labelSelector",
    ("PodAffinityTerm", "mismatchLabelKeys"): "write the labels into labelSelector",
    ("TopologySpreadConstraint", "nodeAffinityPolicy"): "Kubernetes' default (Honor) holds: remove it",
    ("TopologySpreadConstraint", "nodeTaintsPolicy"): "Kubernetes' default (Ignore) holds: remove it",
    ("Volume", "persistentVolumeClaim"): f"volumes that outlive their pod are not supported yet: {_VOLUME}",
    ("Volume", "ephemeral"): f"use emptyDir; or {_VOLUME}",
    ("Volume", "image"): "copy the files from the image in an init container into an emptyDir",
    ("Volume", "gitRepo"): "clone in an init container into an emptyDir",
    ("Volume", "nfs"): f"mount it on the hosts; {_VOLUME}",
    ("VolumeProjection", "serviceAccountToken"): _ACCOUNT,
    ("VolumeProjection", "clusterTrustBundle"): "put the certificates into a configMap",
    ("VolumeProjection", "podCertificate"): "put the certificate into a secret",
    ("ServiceSpec", "clusterIPs"): "write clusterIP: None for a headless service, or nothing",
    ("ServiceSpec", "externalIPs"): "use type: NodePort",
    ("ServiceSpec", "loadBalancerIP"): "every host is an entrance: remove it",
    ("ServiceSpec", "loadBalancerClass"): "every host is an entrance: remove it",
    ("ServiceSpec", "loadBalancerSourceRanges"): "restrict the addresses in your firewall",
    ("ServiceSpec", "allocateLoadBalancerNodePorts"): "use type: NodePort",
    ("ServiceSpec", "externalTrafficPolicy"): "traffic goes to all ready pods: remove it",
    ("ServiceSpec", "internalTrafficPolicy"): "traffic goes to all ready pods: remove it",
    ("ServiceSpec", "trafficDistribution"): "traffic goes to all ready pods: remove it",
    ("ServiceSpec", "healthCheckNodePort"): "remove it",
    ("IngressBackend", "resource"): "traffic is led to services only: write service, with its name and port",
    ("NetworkPolicySpec", "egress"): _EGRESS,
    ("ServiceSpec", "ipFamilies"): _NETWORK,
    ("ServiceSpec", "ipFamilyPolicy"): _NETWORK,
    ("RolloutSpec", "workloadRef"): "write selector and template here; the Deployment of the same name becomes this "
    "Rollout in place, without a new pod",
    ("RolloutSpec", "restartAt"): "restart it with: manage.py rollout restart rollout/NAME",
    ("RolloutSpec", "rollbackWindow"): "going back to a revision that was healthy skips the steps anyway: remove it",
    ("RolloutSpec", "analysis"): _KEPT,
    ("CanaryStrategy", "antiAffinity"): _ANTI_AFFINITY,
    ("CanaryStrategy", "canaryMetadata"): _METADATA,
    ("CanaryStrategy", "stableMetadata"): _METADATA,
    ("CanaryStrategy", "minPodsPerReplicaSet"): "a canary has one pod at least: for more write a setCanaryScale step",
    ("CanaryStrategy", "pingPong"): "traffic is led to the pods without a change of Services: write canaryService and "
    "stableService, or neither",
    ("CanaryStrategy", "replicaProgressThreshold"): "a step begins when all pods of the canary are ready: remove it",
    ("CanaryStrategy", "scaleDownDelaySeconds"): "old pods leave all routers before they end: remove it",
    ("CanaryStrategy", "scaleDownDelayRevisionLimit"): _OLD_PODS,
    ("CanaryStep", "experiment"): "the canary is judged against the stable pods at the same time: write an analysis "
    "with the plugin pierhead.io/judge",
    ("CanaryStep", "setMirrorRoute"): "requests are not mirrored: write setWeight, or setHeaderRoute for testers",
    ("CanaryStep", "plugin"): "steps have no plugins here: remove it",
    ("BlueGreenStrategy", "activeMetadata"): _METADATA,
    ("BlueGreenStrategy", "previewMetadata"): _METADATA,
    ("BlueGreenStrategy", "antiAffinity"): _ANTI_AFFINITY,
    ("BlueGreenStrategy", "maxUnavailable"): "new pods are all ready before old ones go: remove it",
    ("BlueGreenStrategy", "scaleDownDelayRevisionLimit"): _OLD_PODS,
    ("RolloutAnalysis", "measurementRetention"): _KEPT,
    ("RolloutAnalysis", "analysisRunMetadata"): "analyses are named for their rollout: remove it",
    ("RolloutAnalysisBackground", "measurementRetention"): _KEPT,
    ("RolloutAnalysisBackground", "analysisRunMetadata"): "analyses are named for their rollout: remove it",
    **dict.fromkeys(
        (
            ("RolloutTrafficRouting", name)
            for name in ("alb", "ambassador", "apisix", "appMesh", "istio", "smi", "traefik")
        ),
        _ROUTER,
    ),
    **dict.fromkeys(
        (
            ("NginxTrafficRouting", name)
            for name in ("additionalIngressAnnotations", "annotationPrefix", "canaryIngressAnnotations")
        ),
        "no second Ingress is made: remove it; for testers write a step setHeaderRoute, for the same users "
        "trafficRouting.plugins.pierhead.io/router.sticky",
    ),
    ("AnalysisTemplateSpec", "measurementRetention"): _KEPT,
    ("ValueFrom", "fieldRef"): "give it where the template is used: a Rollout's args can ask for its metadata",
    ("PrometheusMetric", "authentication"): "write a header, such as Authorization: its end can be an argument that "
    "comes from a Secret",
    ("PrometheusMetric", "rangeQuery"): "write the range into the query, such as [5m]",
    **dict.fromkeys(
        (
            ("MetricProvider", name)
            for name in (
                "cloudWatch", "datadog", "graphite", "influxdb", "job", "kayenta", "newRelic", "skywalking",
                "wavefront", "web",
            )
        ),
        _PROVIDER,
    ),
}  # fmt: skip

REFUSED_VALUES: dict[tuple[str, str], str] = {
    ("ServicePort", "protocol"): "the router carries TCP: publish UDP and SCTP with a hostPort of the container",
    ("NetworkPolicyPort", "protocol"): "pods are connected by TCP only: write TCP, or nothing",
    ("NetworkPolicySpec", "policyTypes"): _EGRESS,
    ("ServiceSpec", "clusterIP"): 'Pierhead gives addresses: leave it out, or write "None" for a headless service',
    ("Container", "terminationMessagePolicy"): "the last log lines are the message: leave it out",
    ("Container", "terminationMessagePath"): "the last log lines are the message, no file is read: leave it out",
    ("Container", "restartPolicy"): "only sidecars among the initContainers have one of their own: Always",
    ("PodSpec", "dnsPolicy"): "pods use Docker's resolver: leave it out",
    ("PodSpec", "schedulerName"): "there is one scheduler: leave it out",
    ("PodSpec", "automountServiceAccountToken"): "pods have no Kubernetes API to talk to: write false, or nothing",
    ("PodSpec", "enableServiceLinks"): "services are found by name, not by variables: write false, or nothing",
    ("SeccompProfile", "type"): "use RuntimeDefault",
    (
        "HostPathVolumeSource",
        "type",
    ): "it is not checked on the host, Docker refuses a path that is missing: leave it out",
    ("EmptyDirVolumeSource", "medium"): 'write "Memory", or nothing for the disk',
    ("AnalysisTemplateRef", "clusterScope"): "templates are of one namespace: commit it there as an AnalysisTemplate",
    ("CanaryStrategy", "dynamicStableScale"): "stable pods stay until the end, so that an abort needs no new ones: "
    "write false, or nothing",
    ("RolloutSpec", "progressDeadlineAbort"): "a canary that makes no progress is always aborted: write true, or "
    "nothing",
}

HONOURED_NOTES: dict[tuple[str, str], str] = {
    ("Volume", "hostPath"): "where the namespace is allowed host-path",
    ("PodSpec", "hostNetwork"): "where the namespace is allowed host-network",
    ("PodSpec", "hostPID"): "where the namespace is allowed privileged",
    ("SecurityContext", "privileged"): "where the namespace is allowed privileged",
    ("Capabilities", "add"): "beyond the baseline where the namespace is allowed capabilities",
    ("EmptyDirVolumeSource", "sizeLimit"): "with medium: Memory",
    ("VolumeMount", "subPath"): "not of emptyDir and hostPath",
    ("ResourceRequirements", "limits"): "cpu, memory",
    ("ResourceRequirements", "requests"): "cpu, memory",
    ("Probe", "exec"): "one command for all exec probes of a container",
    ("Probe", "successThreshold"): "above 1 for readiness with httpGet and tcpSocket",
    ("ServicePort", "appProtocol"): "http, https, tcp, ws, wss, h2c, http2, grpc",
    ("IngressSpec", "ingressClassName"): "only pierhead",
    ("HTTPIngressPath", "pathType"): "ImplementationSpecific means Prefix",
    ("RolloutTrafficRouting", "plugins"): "only pierhead.io/router, with sticky",
    ("MetricProvider", "plugin"): "only pierhead.io/traffic and pierhead.io/judge",
    ("ValueFrom", "secretKeyRef"): "for the end of a header",
    ("FieldRef", "fieldPath"): "metadata.name, .namespace, .labels['KEY'], .annotations['KEY']",
    ("DryRun", "metricName"): "of regular expressions ., .*, ^ and $",
}
"""What a support table says beside a field that is honoured within limits."""

READ_ONLY_METADATA = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
"""Dropped with a warning, as Kubernetes ignores them too: exported manifests are full of them."""

UNSUPPORTED_KINDS: dict[str, str] = {
    "ReplicaSet": "is made by Pierhead from a Deployment: write the Deployment",
    "ReplicationController": "is not supported: write a Deployment",
    "PodTemplate": "is not supported: write a Deployment",
    "Kustomization": "is built when the application's path names its folder: move it there, or out of the path",
    "HelmRelease": "is not supported: commit the output of `helm template`",
    "HelmChart": "is not supported: commit the output of `helm template`",
    "ServiceAccount": "is not supported: there is no Kubernetes API for pods to talk to",
    "Role": "is not supported: people's roles are given in Pierhead, and pods have none",
    "RoleBinding": "is not supported: people's roles are given in Pierhead, and pods have none",
    "ClusterRole": "is not supported: people's roles are given in Pierhead, and pods have none",
    "ClusterRoleBinding": "is not supported: people's roles are given in Pierhead, and pods have none",
    "CustomResourceDefinition": "is not supported: there are no custom resources here",
    "Endpoints": "is made by Pierhead from a Service: write the Service",
    "EndpointSlice": "is made by Pierhead from a Service: write the Service",
    "IngressClass": "is not needed: there is one class, pierhead, and it needs no object; remove this one",
    **dict.fromkeys(("Gateway", "GatewayClass", "HTTPRoute", "GRPCRoute"), "is not supported: write an Ingress"),
    **dict.fromkeys(("TCPRoute", "TLSRoute"), "is not supported: write a Service of type: NodePort"),
    "IngressRoute": "is not supported: write an Ingress",
    "Certificate": "is not supported: certificates come from TLS Secrets; ACME is not here yet",
    "ClusterAnalysisTemplate": "is not supported: templates are of one namespace, write an AnalysisTemplate there",
    "AnalysisRun": "is made by Pierhead from a Rollout's strategy, never written: write an AnalysisTemplate",
    "Experiment": "is not supported: write a Rollout, whose canary is judged against its stable pods",
    "Node": "is registered by `manage.py node add`, never by a manifest",
    "Event": "is recorded by Pierhead, never written",
    **dict.fromkeys(
        (
            "StatefulSet", "DaemonSet", "Job", "CronJob", "HorizontalPodAutoscaler", "PersistentVolumeClaim",
            "PersistentVolume", "StorageClass",
            "ResourceQuota", "LimitRange", "PriorityClass", "SealedSecret", "ExternalSecret",
        ),
        "is not supported yet",
    ),
}  # fmt: skip
"""Kind -> how the sentence about it ends."""
