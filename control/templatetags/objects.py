"""Where an object's page is, and the few other things that several templates ask."""

from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from control.selectors.words import sentence

register = template.Library()
_NAMESPACED = {"Deployment": "workload", "Pod": "pod", "Service": "service"}
_ALONE = {"Node": "node", "Application": "application"}


@register.simple_tag
def object_link(kind: str, namespace: str, name: str) -> SafeString:
    """The name as people write it, `shop/web`, with a link where that kind has a page."""
    shown = format_html('<span class="namespace">{}/</span>', sentence(namespace)) if namespace else SafeString("")
    shown += format_html("{}", sentence(name))
    place = address(kind, namespace, name)
    if not place:
        return format_html('<span class="name">{}</span>', shown)
    return format_html('<a class="name" href="{}">{}</a>', place, shown)


def address(kind: str, namespace: str, name: str) -> str:
    """Of the object's page; "" where there is none. Names come from outside: not each is one of an object."""
    if "/" in f"{namespace}{name}":
        return ""
    if namespace and kind in _NAMESPACED:
        return reverse(_NAMESPACED[kind], args=[namespace, name])
    if not namespace and name and kind in _ALONE:
        return reverse(_ALONE[kind], args=[name])
    return ""
