"""Image policies as they stand: what each follows, what was found last, and why it is not in force."""

from __future__ import annotations

from django.db import models

from control.models.workloads import Deployment


class ImagePolicy(models.Model):
    """One container's policy. The annotation of its Deployment says what it is; this is what became of it.

    `found`: the newest tag that the policy admits. `wanted`: an image that is to be committed, "" for none.
    `digest`: what the image in force is known to be. `commit`: the last one that we made for it. `why`: the sentence
    that says why nothing is newer, or what stands in the way.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="image_policies")
    container = models.CharField(max_length=63)
    rule = models.CharField(max_length=400)
    every_seconds = models.FloatField(default=600)
    commits = models.BooleanField(default=False)
    image = models.CharField(max_length=1100)  # the one that Git asks for
    found = models.CharField(max_length=128, blank=True)
    wanted = models.CharField(max_length=1100, blank=True)
    digest = models.CharField(max_length=80, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    why = models.TextField(blank=True)
    failing = models.BooleanField(default=False)
    looked_at = models.FloatField(default=0)
    due_at = models.FloatField(default=0)
    updated_at = models.FloatField(default=0)

    class Meta:
        ordering = ("deployment__namespace", "deployment__name", "container")
        constraints = (models.UniqueConstraint(fields=["deployment", "container"], name="imagepolicy_container"),)

    def __str__(self) -> str:
        return f"image policy of {self.deployment_id} {self.container}"
