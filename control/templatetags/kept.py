"""`{% kept line=line may_act=may_act %} ... {% endkept %}`: markup of a row, rendered once for the same values.

What stands between sees those values and nothing else: no request, no person, no token of a form. So the same values
give the same markup for everybody, and it is kept by them; a row that changed has others. They must be hashable: lines
are frozen dataclasses, and a Moment counts as what it reads, so that a row is made again when its age has another word.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.template import Context, Library, Node, NodeList, Template, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.template.defaulttags import CsrfTokenNode
from django.utils.safestring import SafeString

register = Library()
ROWS = 512
"""Of one place in one template, per process."""


class Kept(Node):
    def __init__(self, names: Mapping[str, FilterExpression], nodelist: NodeList) -> None:
        self.names, self.nodelist = names, nodelist
        self._kept = lru_cache(ROWS)(self._made)

    def render(self, context: Context) -> SafeString:
        values = tuple(one.resolve(context) for one in self.names.values())
        return self._kept(context.template, *values)

    def _made(self, template: Template, *values: Any) -> SafeString:
        alone = Context(dict(zip(self.names, values, strict=True)))
        with alone.bind_template(template):
            return self.nodelist.render(alone)


@register.tag
def kept(parser: Parser, token: Token) -> Kept:
    """Raises TemplateSyntaxError for anything but name=value, and for a form's token, which is one person's."""
    words = token.split_contents()[1:]
    names = token_kwargs(words, parser)
    if words or not names:
        raise TemplateSyntaxError("kept takes name=value, for everything that its rows are made of")
    nodelist = parser.parse(("endkept",))
    parser.delete_first_token()
    if nodelist.get_nodes_by_type(CsrfTokenNode):
        raise TemplateSyntaxError("kept markup is the same for everybody: it cannot hold a form")
    return Kept(names, nodelist)
