"""`/nodes/NAME/labels`: the form with a node's labels and taints. The command's rules hold."""

from __future__ import annotations

import json
import time
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal
from control.dashboard.node_actions import STALE
from control.selectors.evictions import evicted
from control.selectors.node_marks import NodeMarks, node_marks
from control.selectors.node_questions import digest
from control.services import node_marks as marks
from control.services.refusal import Refused
from deployer.core.taint import taint_of

LONGEST = 1 << 14


def _area(label: str) -> forms.CharField:
    given = {"rows": 6, "spellcheck": "false", "autocomplete": "off"}
    return forms.CharField(label=label, required=False, max_length=LONGEST, widget=forms.Textarea(given))


class MarksForm(forms.Form):
    """One a line."""

    labels = _area("Labels")
    taints = _area("Taints")

    def clean_labels(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for word in self.cleaned_data["labels"].split():
            key, value = _read(marks.label_change, word)
            if value is None:
                raise ValidationError(f"{word}: leave a line out to remove a label")
            if key in marks.FIXED:
                raise ValidationError(f"{key} says what the host is: it cannot be changed here")
            if key in found:
                raise ValidationError(f"{key} stands there twice")
            found[key] = value
        return found

    def clean_taints(self) -> list[marks.Taint]:
        found = [_read(marks.taint_change, word) for word in self.cleaned_data["taints"].split()]
        gone = next((one for one in found if isinstance(one, str)), None)
        if gone is not None:
            raise ValidationError(f"{gone}: leave a line out to remove a taint")
        return found


@require_http_methods(["GET", "HEAD", "POST"])
def labels(request: HttpRequest, name: str) -> HttpResponse:
    found = node_marks(name)
    if found is None:
        return refusal(request, f"Node {name} is not registered (any more).", 404)
    if request.method != "POST":
        return _page(request, found, MarksForm(initial=_words(found), label_suffix=""))
    form = MarksForm(request.POST, label_suffix="")
    if not form.is_valid():
        return _page(request, found, form, status=400)
    if request.POST.get("seen") != _seen(found):
        return _page(request, found, MarksForm(initial=_words(found), label_suffix=""), STALE)
    try:
        count = marks.change(
            name, form.cleaned_data["labels"], form.cleaned_data["taints"], actor(request),
            (dict(found.labels), [dict(one) for one in found.taints]),
        )  # fmt: skip
    except Refused as refused:
        return _page(request, found, form, refused.sentence)
    told = evicted(name, time.time())
    counted = f"{count} {'change' if count == 1 else 'changes'} of labels and taints"
    messages.success(request, f"{name}: {counted}{f'; {told}' if told else ''}.")
    return redirect("node", name=name)


def _read(reader: Any, word: str) -> Any:
    try:
        return reader(word)
    except Refused as refused:
        raise ValidationError(refused.sentence) from refused


def _page(
    request: HttpRequest, found: NodeMarks, form: MarksForm, refused: str = "", status: int = 200
) -> HttpResponse:
    fixed = [f"{key}={value}" for key, value in sorted(found.labels.items()) if key in marks.FIXED]
    context = {"node": found.node, "form": form, "fixed": fixed, "seen": _seen(found), "refused": refused}
    return render(request, "nodes/labels.html", context, status=409 if refused else status)


def _words(found: NodeMarks) -> dict[str, str]:
    """As they are typed."""
    own = [f"{key}={value}" for key, value in sorted(found.labels.items()) if key not in marks.FIXED]
    taints = [str(taint_of(one)) for one in found.taints]
    return {"labels": "\n".join(own), "taints": "\n".join(taints)}


def _seen(found: NodeMarks) -> str:
    return digest(json.dumps(found.labels, sort_keys=True), json.dumps(found.taints, sort_keys=True))
