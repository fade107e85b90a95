"""Whose commits a repository's applications take. A key that cannot be read is told when it is set, not later."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from control.models import Repository
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repository_keys import get_repository
from control.store import objects
from deployer.adapters.git_signatures import check_gpg_keys
from deployer.composition import composition
from deployer.core.signatures import SignaturePolicy, SignersRefused, check_policy
from deployer.ports import SourceError


def set_signatures(
    name: str, actor: Actor, *, what: str | None = None, ssh_signers: str | None = None, gpg_keys: str | None = None
) -> Repository:
    """None leaves as it is. A commit that was refused before is looked at again; what runs goes on."""
    row = get_repository(name)
    policy = SignaturePolicy(
        what=row.signatures if what is None else what,
        ssh_signers=row.ssh_signers if ssh_signers is None else ssh_signers.replace("\r\n", "\n"),
        gpg_keys=row.gpg_signers if gpg_keys is None else gpg_keys.replace("\r\n", "\n"),
    )
    try:
        check_policy(policy)
        check_gpg_keys(settings.PIERHEAD.data_dir / "git", policy.gpg_keys)
    except (SignersRefused, SourceError) as error:
        raise Refused(f"repository {name}: {error.sentence}") from error
    row.signatures, row.ssh_signers, row.gpg_signers = policy.what, policy.ssh_signers, policy.gpg_keys
    with transaction.atomic():
        row.save(update_fields=["signatures", "ssh_signers", "gpg_signers"])
        for uid in row.applications.filter(deleted_at=None).values_list("uid", flat=True):
            composition().work.wake("sync", uid)
        record(actor, "repository signatures", str(row), policy.what)
        objects.touch("Repository", "", name)
    return row
