"""Bytes to data: what Kubernetes' YAML means, where a document ends, and what a hostile repository may try."""

from __future__ import annotations

import time
from typing import Any

import pytest

from deployer.core.yaml_documents import MAX_DOCUMENT_BYTES, read_documents


def data_of(text: str | bytes) -> list[Any]:
    documents = read_documents(text.encode() if isinstance(text, str) else text)
    assert not [one.problems for one in documents if one.problems]
    return [one.data for one in documents]


def problems(text: str | bytes) -> list[str]:
    found = read_documents(text.encode() if isinstance(text, str) else text)
    return [f"{one.line}: {one.message} ({one.remedy})" for document in found for one in document.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12:30", "12:30"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("0644", 420), ("0o644", 420),
        ("08", 8), ("0x1F", 31), ("0b101", 5), ("1_000", 1000), ("-5", -5), ("+5", 5), ("1.0", 1), ("1.10", 1.1),
        ("1e3", 1000), ("1e999", "1e999"), ("9" * 25, float("9" * 25)), ("yes", True), ("on", True), ("n", False),
        ("Off", False), ("true", True), ("~", None), ("", None), ("null", None), ("'yes'", "yes"), ('"1"', "1"),
        ("!!str 12", "12"), ("!!int '5'", 5), ("-", "-"), ("1__0", 10), ("Yes!", "Yes!"),
        ("'a\\nb'", "a\\nb"), ('"a\\nb"', "a\nb"),
    ],
)  # fmt: skip
def test_a_scalar_is_what_kubernetes_makes_of_it(written: str, value: Any) -> None:
    if written == "-":
        assert data_of("a: '-'") == [{"a": "-"}]
    else:
        (found,) = data_of(f"a: {written}\n")
        assert found == {"a": value}
        assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("---\n---\n# nothing\n---\na: 1\n---\n", [{"a": 1}]),
        ("a: 1\n...\n---\nb: 2\n...\n", [{"a": 1}, {"b": 2}]),
        ("%YAML 1.1\n---\na: 1\n", [{"a": 1}]),
        ("--- {a: 1}\n--- # next\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("\ufeffa: 1\r\nb: |\r\n  x\r\n  y\r\n", [{"a": 1, "b": "x\ny\n"}]),
        ("text: |\n  ---\n  inside\n", [{"text": "---\ninside\n"}]),
        ("base: &b {x: 1, z: 2}\nuse: {<<: *b, x: 3}\n", [{"base": {"x": 1, "z": 2}, "use": {"x": 3, "z": 2}}]),
        ("list: [&a 1, *a]\n", [{"list": [1, 1]}]),
        ('{"a": "\\ud83d\\ude00",\n\t"b": [1, 2.5e1, null]}', [{"a": "😀", "b": [1, 25, None]}]),
        ("1: x\n", [{"1": "x"}]),
        ("", []),
    ],
)
def test_a_document_is_read(text: str, documents: list[Any]) -> None:
    assert data_of(text) == documents


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "4: the key c stands twice in one map (keep one of the two)"),
        ("a:\n\tb: 1\n", "2: a tab indents this line (YAML is indented with spaces only: replace the tab)"),
        ("a: !!python/object:os.system {}\n", "1: the tag !!python/object:os.system is refused here (remove the tag)"),
        ("a: !vault x\n", "1: the tag !vault is refused here (remove the tag)"),
        ("a: !!binary aGk=\n", "1: the tag !!binary is refused here (remove the tag)"),
        ("on: x\n", "1: the key on is not text in YAML (put the key in quotes)"),
        ("1.5: x\n", "1: the key 1.5 is not text in YAML (put the key in quotes)"),
        ("a: .nan\n", "1: is not a number that Kubernetes knows (write a finite number, or quote it)"),
        ('a: "x\\0"\n', "1: holds a NUL character (binary data belongs into binaryData, in base64)"),
        ("a: 1\nb: \x07\n", "2: is not valid YAML: control characters are not allowed (remove the character; "
                           "binary data belongs into binaryData, in base64)"),
        ("a: *gone\n", "1: is not valid YAML: found undefined alias (define the anchor (&name) above, in the same "
                       "document)"),
        ("a: {{ .Values.x }}\n", "1: a key must be text, not a map or a list (a {{ }} template? Pierhead reads plain "
                                 "manifests: commit the rendered output)"),
        ("a: b: c\n", "1: is not valid YAML: mapping values are not allowed in this context (quote the value if ': ' "
                      "is part of it, or mend the indentation)"),
        ("a: @x\n", "1: is not valid YAML: found character that cannot start any token (put the value in quotes)"),
        ("a: 1\n---\nb: [\n---\nc: 3\n", "4: is not valid YAML: while parsing a flow node, did not find expected node "
                                        "content (check this line and the one above)"),
        ("%TAG ! tag:x\n---\na: 1\n", "2: is not valid YAML: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_text_is_said_with_its_line(text: str, sentence: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0] == sentence or (sentence.endswith(": ") and found[0].startswith(sentence))


def test_a_broken_document_does_not_hide_the_next_one() -> None:
    documents = read_documents(b"a: [\n---\nb: 1\n---\nc: c: c\n")
    assert [(one.line, one.data, len(one.problems)) for one in documents] == [
        (2, None, 1),
        (3, {"b": 1}, 0),
        (5, None, 1),
    ]


def test_text_that_is_not_utf8_is_refused_with_its_line() -> None:
    assert problems(b"a: 1\nb: \xff\xfe\n") == [
        "2: is not UTF-8 text (save the file as UTF-8; binary data belongs into binaryData)"
    ]


def test_a_document_has_a_size() -> None:
    text = "a: '" + "x" * MAX_DOCUMENT_BYTES + "'\n---\nb: 1\n"
    (sentence,) = problems(text)
    assert sentence.startswith("1: the document has 1048582 bytes, 1048576 (1 MiB) are the limit for one")
    assert read_documents(text.encode())[1].data == {"b": 1}


@pytest.mark.parametrize("part", ["[", "{a: ", "- ", "? ", "{", "- ? ", "[{"])
def test_deep_nesting_is_refused_before_it_can_hurt(part: str) -> None:
    (sentence,) = problems(part * 200_000)
    assert "nests deeper than 100 levels" in sentence


def test_deep_indentation_is_refused_too() -> None:
    (sentence,) = problems("\n".join(" " * depth + "a:" for depth in range(1200)))
    assert "nests deeper than 100 levels" in sentence
    assert data_of("\n".join(" " * depth + "a:" for depth in range(90)))


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    before = time.process_time()
    (sentence,) = problems("\n".join(lines))
    assert "aliases (*name) grow the document by more than 100000 characters" in sentence
    assert time.process_time() - before < 1


def test_an_alias_of_itself_is_refused() -> None:
    assert "nests deeper" in problems("a: &a [*a]\n")[0]
    assert "nests deeper" in problems("a: &a {<<: *a}\n")[0]


def test_a_document_full_of_errors_tells_the_first_ones_only() -> None:
    found = problems("a: 1\n" * 1000)
    assert len(found) == 21
    assert found[-1].endswith("has more errors of this sort (mend those above first)")


def test_the_line_of_a_field_is_that_of_its_key() -> None:
    text = "# c\n---\nbase: &b\n  deep: 1\nmap:\n  list:\n    - one: 1\n      two: 2\n    - <<: *b\n"
    (document,) = read_documents(text.encode())
    lines = {
        (): 3, ("map",): 5, ("map", "list", 0): 7, ("map", "list", 0, "two"): 8, ("map", "list", 1): 9,
        ("map", "list", 1, "deep"): 4, ("map", "list", 5): 6, ("map", "gone", "x"): 5,
    }  # fmt: skip
    assert {path: document.line_of(path) for path in lines} == lines
    assert document.written(("map", "list", 0, "two")) == "2"
