"""An image replaced in a file: that scalar, and not a byte more."""

from __future__ import annotations

import pytest

from deployer.core.images.edit import CannotEdit, Change, edited

FILE = """\
# The shop.
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
---
apiVersion: apps/v1   # what serves
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      initContainers:
        - {name: init, image: 'shop/init:1'}
      containers:
        - name: side
          image: shop/web:1.0   # the same image, another container
        - image: "shop/web:1.0" # the one

          name: web
"""
WEB = Change("Deployment", "shop", "web", "web", "shop/web:1.0", "shop/web:1.1")


def test_only_the_scalar_changes() -> None:
    found = edited(FILE.encode(), WEB, "shop").decode()
    assert found == FILE.replace('"shop/web:1.0" # the one', '"shop/web:1.1" # the one')


@pytest.mark.parametrize(
    ("container", "before", "after", "old", "new"),
    [
        ("side", "shop/web:1.0", "x:2", "shop/web:1.0   #", "x:2   #"),
        ("init", "shop/init:1", "shop/init:22", "'shop/init:1'", "'shop/init:22'"),
    ],
)
def test_each_container_has_its_own(container: str, before: str, after: str, old: str, new: str) -> None:
    found = edited(FILE.encode(), Change("Deployment", "shop", "web", container, before, after), "shop")
    assert found.decode() == FILE.replace(old, new, 1)


def test_line_ends_marks_and_letters_beyond_ascii_stay() -> None:
    text = FILE.replace("shop.", "Läden.").replace("- image:", "- env: [] # ö\n          image:")
    data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    found = edited(data, WEB, "shop")
    assert found == data.replace(b'"shop/web:1.0"', b'"shop/web:1.1"')


def test_json_and_lists() -> None:
    data = (
        '{"kind": "List", "apiVersion": "v1", "items": [{"kind": "Deployment", "metadata": {"name": "web", '
        '"namespace": "shop"}, "spec": {"template": {"spec": {"containers": [{"name": "web", '
        '"image": "shop/web:1.0"}]}}}}]}'
    )
    assert edited(data.encode(), WEB, "default").decode() == data.replace("web:1.0", "web:1.1")


SHARED = """\
kind: List
items:
  - &one
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec: {template: {spec: {containers: [{name: web, image: shop/web:1.0}]}}}
  - *one
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (FILE.replace("name: web\nspec", "name: other\nspec"), "is not in the file, so its image cannot be replaced"),
        (FILE + "---\n" + FILE, "stands 2 times in the file"),
        (FILE.replace('"shop/web:1.0"', "shop/web:2"), "the image of web is not shop/web:1.0 in Git any more"),
        (FILE.replace('"shop/web:1.0"', "&it shop/web:1.0"), "line 18: the image is written in a way that"),
        (FILE.replace('image: "shop/web:1.0"', "env: []"), "container web has no image in the file; change it by hand"),
        (
            FILE.replace("'shop/init:1'", "&it shop/web:1.0").replace('"shop/web:1.0"', "*it"),
            "the image of web is shared by an alias (*name); change it by hand",
        ),
        (FILE.replace('"shop/web:1.0" #', ">-\n            shop/web:1.0\n #"), "written over several lines"),
        (FILE.replace('"shop/web:1.0"', '"shop/web:1\\x2e0"'), "line 18: the image is written in a way that"),
        (SHARED, "stands 2 times in the file"),
        ("- [\n", "is not in the file"),
        ("a: \xff", "is not in the file"),
    ],
)
def test_what_cannot_be_replaced_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(CannotEdit) as caught:
        edited(text.encode("latin-1"), WEB, "shop")
    assert sentence in str(caught.value)
