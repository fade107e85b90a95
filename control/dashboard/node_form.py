"""`/nodes/add`: the form that registers a host. Its connection is tested before anything is kept.

What was typed comes back when the host refuses, except private keys: those never leave the server again.
"""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor
from control.selectors.words import cpus, size

LONGEST_FILE = 1 << 16
SECRETS = ("key", "ssh_key")
_PAIR = re.compile(r"(?P<key>[^=\s]+)=(?P<value>\S*)")


class SecretArea(forms.Textarea):
    """A text area whose content is never written into a page."""

    def format_value(self, value: Any) -> str:  # noqa: ARG002 - Django's signature
        return ""


def _area(label: str, widget: type[forms.Textarea] = forms.Textarea, rows: int = 4) -> forms.CharField:
    given = {"rows": rows, "spellcheck": "false", "autocomplete": "off"}
    return forms.CharField(label=label, required=False, max_length=LONGEST_FILE, widget=widget(given))


class NodeForm(forms.Form):
    """What `services.nodes.register` takes; that checks all of it."""

    name = forms.CharField(max_length=63)
    address = forms.CharField(max_length=512)
    ca = _area("Certificate authority (ca.pem)")
    cert = _area("Client certificate (cert.pem)")
    key = _area("Private key of the client (key.pem)", SecretArea)
    ssh_key = _area("Private key, without a passphrase", SecretArea)
    known_hosts = _area("The host's key (known_hosts)", rows=3)
    labels = _area("Labels", rows=3)
    mesh_address = forms.CharField(label="Mesh address", required=False, max_length=253)

    def clean_labels(self) -> dict[str, str]:
        """One `key=value` a line, or with commas between."""
        words = self.cleaned_data["labels"].replace(",", " ").split()
        found = [_PAIR.fullmatch(word) for word in words]
        wrong = [word for word, match in zip(words, found, strict=True) if match is None]
        if wrong:
            raise ValidationError(f"{wrong[0]}: write key=value, one a line")
        return {match["key"]: match["value"] for match in found if match}

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        if any(cleaned.get(one) for one in ("ca", "cert", "key")) and any(
            cleaned.get(one) for one in ("ssh_key", "known_hosts")
        ):
            raise ValidationError("TLS files are for tcp://, the SSH key and known hosts for ssh://: give one of them")
        return cleaned

    @property
    def lost_keys(self) -> bool:
        """Whether a private key was typed, which has to be pasted again."""
        return any(self.data.get(name) for name in SECRETS)


@sensitive_post_parameters(*SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    form = NodeForm(request.POST if request.method == "POST" else None, label_suffix="")
    if request.method != "POST":
        return _form(request, form)
    if not form.is_valid():
        return _form(request, form, 400)
    from control.services.refusal import Refused

    try:
        name, found = _register(request, form.cleaned_data)
    except Refused as refused:
        form.add_error(None, refused.sentence)
        return _form(request, form, 409)
    messages.success(request, f"{name} is registered: {found}.")
    return redirect("node", name=name)


def _register(request: HttpRequest, given: dict[str, Any]) -> tuple[str, str]:
    """The node's name, and what was found there."""
    from control.models import Pod
    from control.services import nodes
    from deployer.adapters.docker_address import EngineAddress

    texts = {name: _text(given[name]) for name in ("ca", "cert", "key", "ssh_key", "known_hosts")}
    address = EngineAddress(url=given["address"], **texts)
    row = nodes.register(given["name"], address, actor(request), given["labels"], given["mesh_address"])
    engine = "a simulated engine" if row.is_simulated else f"Docker {row.engine_version}"
    adopted = Pod.objects.filter(node=row).count()
    pods = f", {adopted} running {'pod' if adopted == 1 else 'pods'} adopted" if adopted else ""
    return row.name, f"{engine}, {cpus(row.cpu_millicores)} CPUs, {size(row.memory_bytes)}{pods}"


def _text(pasted: str) -> str:
    """As the file was: browsers send CRLF, and the field has taken the last line's end."""
    lines = pasted.replace("\r\n", "\n").strip()
    return f"{lines}\n" if lines else ""


def _form(request: HttpRequest, form: NodeForm, status: int = 200) -> HttpResponse:
    return render(request, "nodes/add.html", {"form": form}, status=status)
