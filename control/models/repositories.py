"""Repositories and applications: what is followed, and what every attempt to apply it came to."""

from __future__ import annotations

from django.db import models

from control.models.base import new_uid, now
from control.models.sealed import SealedField


class Repository(models.Model):
    """A Git repository. Each (repository, ref) that an application follows is polled by `ls-remote`."""

    kind = "Repository"
    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    name = models.CharField(max_length=63, unique=True)
    url = models.CharField(max_length=1024)
    ref = models.CharField(max_length=255, default="main")
    poll_seconds = models.FloatField(default=30)
    allow_local = models.BooleanField(default=False)
    credentials = SealedField()
    # What its host's API is, "" for what its address says; and whether statuses of commits are told there.
    provider = models.CharField(max_length=20, blank=True)
    api_url = models.CharField(max_length=512, blank=True)
    tells_status = models.BooleanField(default=True)
    head = models.CharField(max_length=64, blank=True)
    head_seen_at = models.FloatField(default=0)
    told_head = models.CharField(max_length=64, blank=True)  # the head whose news every application has had
    polled_at = models.FloatField(default=0)
    hinted_at = models.FloatField(default=0)  # when a webhook last said that something moved
    head_by = models.CharField(max_length=16, default="poll")  # what brought the head: poll, webhook
    failures = models.IntegerField(default=0)
    failing_since = models.FloatField(default=0)  # the first of the failures in a row
    message = models.TextField(blank=True)
    ssh_public_key = models.TextField(blank=True)  # of a key that was made here
    signatures = models.CharField(max_length=8, default="none")  # none, head, tag: what must be signed
    ssh_signers = models.TextField(blank=True)  # lines of allowed_signers
    gpg_signers = models.TextField(blank=True)  # public keys, armored
    created_at = models.FloatField(default=now)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"Repository {self.name}"


class AgeKey(models.Model):
    """An age identity of a repository: files in it that SOPS encrypted for `recipient` are decrypted with it."""

    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="age_keys")
    recipient = models.CharField(max_length=128, unique=True)
    sealed = SealedField()  # {identity}
    created_by = models.CharField(max_length=255, blank=True)
    created_at = models.FloatField(default=now)

    class Meta:
        ordering = ("-created_at", "uid")

    def __str__(self) -> str:
        return f"age key {self.recipient}"


class Application(models.Model):
    """A path in a repository, applied to a namespace.

    `pin` is set by a rollback: {commit, skipped_commit, skipped_tree, by, reason, at}. While Git still has the
    skipped content at the path, the pinned commit is what is applied; auto-sync stays on.

    `self_heal`: what is changed live is put back although Git has not moved; of a manual one it is only told. `drift`
    holds a sentence a line for each object that is not as `commit` says. `holds` names the objects of `commit`, each
    between line breaks (`control/store/drift.py`); `suspected` is the resource version up to which they were written
    and are to be compared, 0 for none.
    """

    kind = "Application"
    UNREAD = "Unknown"  # Git was never read, or could not be
    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    name = models.CharField(max_length=63, unique=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="applications")
    path = models.CharField(max_length=1024, default=".")
    namespace = models.CharField(max_length=63, default="default")
    automatic = models.BooleanField(default=True)
    prune = models.BooleanField(default=True)
    self_heal = models.BooleanField(default=True)
    values = models.JSONField(default=list)  # a chart's files of values, from the repository's root
    pin = models.JSONField(default=dict)
    request = models.JSONField(default=dict)  # {by, trigger, prune_all, commit}: somebody asked for a sync
    sync_status = models.CharField(max_length=16, default=UNREAD)  # Synced, OutOfSync, Unknown
    commit = models.CharField(max_length=64, blank=True)  # the last one applied whole
    tree = models.CharField(max_length=64, blank=True)
    applied_at = models.FloatField(default=0)
    message = models.TextField(blank=True)
    drift = models.TextField(blank=True)
    holds = models.TextField(blank=True)
    suspected = models.BigIntegerField(default=0)
    deleted_at = models.FloatField(null=True)
    created_at = models.FloatField(default=now)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"Application {self.name}"

    @property
    def policy_seen(self) -> str:
        """What a form for it shows, in one word."""
        return f"{self.automatic:d}{self.prune:d}{self.self_heal:d}"

    @property
    def sync_policy(self) -> str:
        """ "automatic, prune, self-heal"; a manual one never heals by itself."""
        words = ["automatic" if self.automatic else "manual", "prune" if self.prune else "no prune"]
        return ", ".join([*words, *(["self-heal" if self.self_heal else "no self-heal"] if self.automatic else [])])


class RenderedManifests(models.Model):
    """What a commit came to, object by object, without any Secret's values: kept once for all equal attempts.

    `content` is compressed JSON (`deployer/core/rendering/kept.py`), `way` how it was made: plain, kustomize, helm or
    compose. It goes with the last attempt that shows it.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    way = models.CharField(max_length=16)
    count = models.IntegerField(default=0)
    content = models.BinaryField()

    class Meta:
        ordering = ("digest",)

    def __str__(self) -> str:
        return f"{self.count} objects, {self.way}"


class CommitStatus(models.Model):
    """What the Git host was last told of a commit, by an application. Nothing yet with `told_at` 0.

    `refused_with` names the settings with which the host said no for good: it is not asked again before they change.
    """

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="statuses")
    commit = models.CharField(max_length=64)
    state = models.CharField(max_length=16, blank=True)
    description = models.CharField(max_length=255, blank=True)
    told_at = models.FloatField(default=0)
    attempts = models.IntegerField(default=0)
    due_at = models.FloatField(default=0)
    refused_with = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    created_at = models.FloatField(default=now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["application", "commit"], name="commitstatus_once"),)
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.commit[:7]} of {self.application_id}: {self.state or 'untold'}"


class Sync(models.Model):
    """One attempt to apply one commit, failures too. `errors` and `warnings`: file, line, field, message, remedy.

    `ready_at`: when every pod that the commit asks for was Ready for the first time; `healthy_at`: when they had proved
    themselves, and nothing older was left.
    """

    RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="syncs")
    commit = models.CharField(max_length=64, blank=True)
    commit_message = models.TextField(blank=True)
    commit_author = models.CharField(max_length=255, blank=True)
    committed_at = models.FloatField(default=0)
    actor = models.CharField(max_length=255, blank=True)
    trigger = models.CharField(max_length=16, blank=True)  # poll, webhook, request, rollback, resume, self-heal
    phase = models.CharField(max_length=16, default=RUNNING)
    message = models.TextField(blank=True)
    errors = models.JSONField(default=list)
    warnings = models.JSONField(default=list)
    changes = models.JSONField(default=list)  # [{op, kind, namespace, name}]
    rendered = models.ForeignKey(RenderedManifests, on_delete=models.SET_NULL, null=True, related_name="syncs")
    seen_at = models.FloatField(default=0)
    started_at = models.FloatField(default=now)
    finished_at = models.FloatField(default=0)
    ready_at = models.FloatField(default=0)
    healthy_at = models.FloatField(default=0)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Sync {self.pk} of {self.application_id}: {self.phase}"
