"""What nearly every template asks: a state, a moment, and where an object's page is."""

from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from control.selectors.words import Moment, State, sentence

register = template.Library()
_NAMESPACED = {"Deployment": "workload", "Rollout": "workload", "Pod": "pod", "Service": "service"}
_ALONE = {"Node": "node", "Application": "application"}


@register.simple_tag
def state(given: State) -> SafeString:
    """Icon, word and colour. A tag and no template: long tables hold hundreds of them."""
    return format_html(
        '<span class="state {0}"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">'
        '<use href="#icon-{0}" /></svg>{1}</span>',
        given.tone, given.word,
    )  # fmt: skip


@register.simple_tag
def moment(given: Moment) -> SafeString | str:
    """How long ago it was; nothing for what never came."""
    if not given:
        return ""
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', given.iso, given.age)


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
