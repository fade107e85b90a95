"""`/find?words=`: what the palette shows."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from control.dashboard.access import namespaces
from control.selectors.found import found
from control.templatetags.objects import address


@require_safe
def find(request: HttpRequest) -> JsonResponse:
    """{"found": [[kind, name, address], ...]}"""
    rows = found(request.GET.get("words", "")[:253], namespaces(request))
    lines = [
        (kind, f"{namespace}/{name}" if namespace else name, address(kind, namespace, name))
        for kind, namespace, name in rows
    ]
    return JsonResponse({"found": lines})
