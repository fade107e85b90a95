"""What becomes of a delivery. Proof goes first: nothing of a body is read before its sender is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import ip_address, ip_network

from deployer.core.hooks.payloads import follows, payload_of
from deployer.core.hooks.providers import Provider
from deployer.core.hooks.values import HookRefused, Judgement, Push, Received


def judge(provider: Provider, received: Received, secrets: Sequence[str], followed: str) -> Judgement:
    """`secrets`: the valid ones, the current one first. `followed`: the ref that the repository is followed at."""
    secret = -1
    try:
        secret = proven_by(provider, received, secrets)
        said = provider.announcement(received, payload_of(received))
    except HookRefused as refused:
        return Judgement(refused.status, False, refused.sentence, secret=secret)
    if said.note:
        return Judgement(200, False, said.note, said.event, said.delivery, secret=secret)
    if said.images:
        sentence = "accepted: image policies that follow it are looked at now"
        return Judgement(202, True, sentence, said.event, said.delivery, secret=secret, images=said.images)
    if not any(follows(followed, one) for one in said.pushes):
        named = ", ".join(one.ref for one in said.pushes[:3])
        sentence = f"{named} moved; {followed} is followed here: nothing to look at"
        return Judgement(200, False, sentence, said.event, said.delivery, said.pushes, secret)
    sentence = "accepted: the repository is looked at now"
    return Judgement(202, True, sentence, said.event, said.delivery, said.pushes, secret)


def repeated(judgement: Judgement) -> Judgement:
    """For a delivery that was accepted before."""
    sentence = f"delivery {judgement.delivery} was accepted before: nothing more comes of it"
    return Judgement(
        200, False, sentence, judgement.event, judgement.delivery, judgement.pushes, judgement.secret
    )  # fmt: skip


def proven_by(provider: Provider, received: Received, secrets: Sequence[str]) -> int:
    """Which of the secrets; raises HookRefused (401) when it is none."""
    if not any(received.header(one) for one in provider.proof_headers):
        named = [one for one in provider.proof_headers if not one.startswith(":")]
        wanted = f"the header {' or '.join(named)}" if named else "the secret behind the address"
        raise HookRefused(401, f"{wanted} is missing: set the secret at {provider.title}")
    matches = [provider.proof(received, one) for one in secrets]
    if True not in matches:
        raise HookRefused(
            401, f"the proof does not fit: the secret at {provider.title} is another one, or the body was changed"
        )
    return matches.index(True)


def check_source(address: str, allowed: Collection[str]) -> None:
    """`allowed`: networks such as 140.82.112.0/20; none means all. Raises HookRefused (403)."""
    if not allowed:
        return
    try:
        found = ip_address(address)
    except ValueError:
        found = None
    if found is None or not any(found in ip_network(one) for one in allowed):
        raise HookRefused(403, f"{address} is not among the addresses that this webhook takes deliveries from")


def commit_of(pushes: Sequence[Push], followed: str) -> str:
    """Where the followed ref moved to, as far as it was told."""
    return next((one.commit for one in pushes if one.ref and one.commit and follows(followed, one)), "")
