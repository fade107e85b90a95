"""Encrypted files: what sops wrote is read as sops reads it, line by line; what was tampered with is refused."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.core.manifests import ManifestError, ReadResult, read_manifests
from deployer.core.repository import SourceFile, SourceTree
from deployer.core.sops import opened
from deployer.core.sops_values import counted
from deployer.core.yaml_documents import read_documents
from tests.core.sops_files import OURS, PATH, SECRETS_ONLY, STRANGER, decrypted, encrypted, open_text

SECRET = """\
# what the shop logs in with
apiVersion: v1
kind: Secret
metadata:
  name: db # beside it
stringData:
  # of the user shop
  password: "hunter2"
  certificate: |
    -----BEGIN-----
    \u00e9\U0001f600
  folded: >-
    one
    two
  like-a-number: "0123"
  like-a-word: "yes"
  empty: ""
"""
TYPES = """\
n: 5432
f: 1.50
big: 1.0e+30
whole: 2.0
t: true
nothing: null
quoted: "true"
date: 2024-01-01
hex: 0x1F
mode: 0644
under_score: 1_000
list: [a, 1, {b: "c: d"}, [2.5, null]]
plain_unencrypted: {n: 7, f: 0.1, t: false, s: text, d: 2024-01-01, e: 1e3}
"""
RULES: dict[str, tuple[str, ...]] = {
    "everything": (),
    "by expression": SECRETS_ONLY,
    "all but an expression": ("--unencrypted-regex", "^(apiVersion|kind|metadata)$"),
    "by suffix": ("--encrypted-suffix", "Data"),
    "all but a suffix": ("--unencrypted-suffix", "data"),
    "what is encrypted alone is counted": (*SECRETS_ONLY, "--mac-only-encrypted"),
    "by comment": ("--encrypted-comment-regex", "of the user"),
    "all but a comment": ("--unencrypted-comment-regex", "of the user"),
}


def data(text: str) -> list[Any]:
    return [document.data for document in read_documents(text.encode())]


def ours(text: str, path: str = PATH) -> str:
    found = open_text(text, path=path)
    assert found.errors == ()
    return found.tree.files[0].data.decode()


def refusal(text: str, *identities: str, path: str = PATH) -> str:
    found = open_text(text, *identities, path=path)
    assert found.tree.files == ()
    (error,) = found.errors
    assert "hunter" not in str(error)
    return str(error)


def read(text: str) -> ReadResult:
    found = open_text(text)
    return found.told(read_manifests(found.tree.files, default_namespace="shop", policies={}), rendered=False)


@pytest.mark.parametrize("rule", RULES)
def test_a_secret_is_read_as_sops_reads_it(rule: str) -> None:
    text = encrypted(SECRET, *RULES[rule])
    found = ours(text)
    assert data(found) == data(SECRET)
    assert found.count("\n") == text.count("\n")


def test_every_type_is_read_as_sops_reads_it() -> None:
    text = encrypted(TYPES)
    assert data(ours(text)) == data(decrypted(text))
    as_json = encrypted(json.dumps(data(TYPES)[0]), kind="json")
    assert data(ours(as_json, "x.json")) == [json.loads(decrypted(as_json, "json"))]


def test_several_documents_are_one_file() -> None:
    text = encrypted(f"{SECRET}---\n{SECRET.replace('name: db', 'name: two')}", *SECRETS_ONLY)
    assert text.count("sops:") == 2
    found = read(text)
    assert [one.name for one in found.manifests] == ["db", "two"]
    assert (found.errors, found.warnings) == ((), ())
    first, second = text.split("\n---\n")
    assert "the file's MAC does not fit" in refusal(f"{second}\n---\n{first}")


def test_any_of_several_recipients_opens_it_and_so_does_an_older_key() -> None:
    text = encrypted(SECRET, recipients=(STRANGER, OURS))
    assert data(ours(text)) == data(SECRET)
    assert open_text(encrypted(SECRET), STRANGER.identity, OURS.identity).errors == ()


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-zA-Z._-]{0,8}", fullmatch=True).filter(lambda key: key != "sops"),
        st.recursive(
            st.text() | st.integers(-(2**53), 2**53) | st.booleans() | st.none()
            | st.floats(-1e15, 1e15),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner, max_size=3),
            max_leaves=12,
        ),
        min_size=1,
        max_size=5,
    )
)  # fmt: skip
def test_whatever_is_encrypted_comes_back(given_data: dict[str, Any]) -> None:
    text = encrypted(json.dumps(given_data), "--unencrypted-suffix", "e", kind="json")
    assert data(ours(text, "x.json")) == [json.loads(decrypted(text, "json"))]


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        ("~", None), ("null", None), ("true", b"True"), ("False", b"False"), ("yes", b"yes"), ("0644", b"420"),
        ("0x1F", b"31"), ("1_000", b"1000"), ("2.0", b"2"), ("1e+30", b"1" + b"0" * 30), ("-.5", b"-0.5"),
        ("-0.0", b"-0"), (".inf", b"+Inf"), ("1e999", b"+Inf"), ("12:30", b"12:30"),
        ("2024-01-01", b"2024-01-01T00:00:00Z"),
        ("9223372036854775808", b"9223372036854776000"), ("text", b"text"), ("+x", b"+x"),
    ],
)  # fmt: skip
def test_an_unencrypted_value_is_counted_as_go_prints_it(written: str, bytes_: bytes | None) -> None:
    assert counted(written) == bytes_


# What is refused


@functools.cache
def whole() -> str:
    return encrypted(SECRET)


@functools.cache
def part() -> str:
    return encrypted(SECRET, *SECRETS_ONLY)


@functools.cache
def only() -> str:
    return encrypted(SECRET, *SECRETS_ONLY, "--mac-only-encrypted")


RULE = "encrypted_regex: ^(data|stringData)$"
MAC = "sops.mac: the file's MAC does not fit: a value was changed, added, removed or moved since it was encrypted"
CHANGED = "was changed after it was encrypted, or comes from another place or file"
NOT_ENCRYPTED = "is not encrypted, though the rule of this file says that it is"


def value_of(key: str, text: str) -> str:
    found = re.search(rf"^ +{key}: (ENC\[.*\])$", text, re.MULTILINE)
    assert found
    return found[1]


def password() -> str:
    return value_of("password", part())


def instead(text: str) -> str:
    """The file with another value of the password."""
    return part().replace(password(), text)


def swapped(text: str) -> str:
    one, other = value_of("password", text), value_of("folded", text)
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(lambda: swapped(part()), f"stringData.password: {CHANGED}", id="two values swapped"),
        pytest.param(lambda: part().replace("name: db", "name: dc"), MAC, id="an unencrypted value changed"),
        pytest.param(lambda: part().replace("name: db", "name: db\n    labels: {a: b}"), MAC, id="one added"),
        pytest.param(lambda: instead("hunter3"), f"stringData.password: {NOT_ENCRYPTED}", id="plain"),
        pytest.param(lambda: instead("12"), f"stringData.password: {NOT_ENCRYPTED}", id="a number"),
        pytest.param(lambda: instead('""'), MAC, id="emptied"),
        pytest.param(
            lambda: instead(value_of("password", whole())),
            f"stringData.password: {CHANGED}",
            id="of another file",
        ),
        pytest.param(
            lambda: instead(password().replace("type:str", "type:int")),
            "stringData.password: holds no value of its type (int) that YAML could hold",
            id="another type",
        ),
        pytest.param(
            lambda: instead(password().replace("type:str", "type:comment")),
            "stringData.password: holds no value of its type (comment) that YAML could hold",
            id="no type of a value",
        ),
        pytest.param(
            lambda: only().replace("stringData:", "stringData:\n    more: x"),
            f"stringData.more: {NOT_ENCRYPTED}",
            id="added where only the encrypted counts",
        ),
        pytest.param(
            lambda: re.sub(r"    folded:.*\n", "", only()), MAC, id="left out where only the encrypted counts"
        ),
        pytest.param(
            lambda: re.sub(r"lastmodified: .*", 'lastmodified: "2020-01-01T00:00:00Z"', part()), MAC, id="the time"
        ),
        pytest.param(lambda: re.sub(r"    mac: .*\n", "", part()), MAC, id="no MAC"),
        pytest.param(
            lambda: re.sub(r"mac: ENC.*", "mac: ENC[AES256_GCM,data:,iv:AAAA,tag:AAAA,type:str]", part()),
            MAC,
            id="a MAC of another",
        ),
        pytest.param(lambda: part().replace(RULE, "encrypted_regex: ^none$"), MAC, id="the rule"),
        pytest.param(
            lambda: part().replace(RULE, "encrypted_regex: (("),
            "apiVersion: its rule is no regular expression that is understood here",
            id="no expression",
        ),
        pytest.param(
            lambda: part().replace("name: db", "name: &a db\n    labels: {a: *a}"),
            "metadata.labels.a: holds an alias (*name), which sops never writes",
            id="an alias",
        ),
    ],
)
def test_what_was_tampered_with_is_refused(make: Callable[[], str], sentence: str) -> None:
    text = make()
    said = refusal(text)
    line = 1 + text.count("\n", 0, text.index("\n", text.find("sops:") if "sops.mac" in sentence else 0))
    assert sentence in said
    assert re.match(rf"{PATH}:[1-9]", said)
    if "sops.mac" in sentence:
        assert said.startswith(f"{PATH}:{line}: ")
    if "sops.mac" in sentence:  # which sops itself finds out as well; what it says of the others is its own
        with pytest.raises(AssertionError, match=r"Failed|Error|MAC|panic"):
            decrypted(text)


def test_an_expression_takes_linear_time() -> None:
    text = part().replace(RULE, "encrypted_regex: ^(([a-z])+.)+[A-Z]([a-z])+$")
    assert open_text(text.replace("apiVersion:", f"{'a' * 60}:")).errors == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            ("enc: |", "none: |"), "its key cannot be unlocked: the block that sops wrote was changed", id="no key"
        ),
        pytest.param(("    age:", "    pgp:"), "is encrypted for PGP alone: only age keys open a file here", id="PGP"),
        pytest.param(("    age:", "    gcp_kms:"), "is encrypted for Google Cloud KMS alone", id="a cloud's"),
        pytest.param(("    age:", "    other:"), "names nobody whom it is encrypted for", id="nobody's"),
        pytest.param(("sops:\n", "sops:\n    key_groups: [{}, {}]\n"), "is encrypted for groups of keys", id="groups"),
        pytest.param(("sops:\n", "sops:\n    age: 3\n"), "the block that sops writes cannot be read", id="twice"),
    ],
)
def test_a_file_that_cannot_be_unlocked_says_why(change: tuple[str, str], sentence: str) -> None:
    line = 1 + part()[: part().index("sops:")].count("\n")
    assert refusal(part().replace(*change)).startswith(f"{PATH}:{line}: sops: {sentence}")


def test_a_stranger_s_file_names_both_recipients() -> None:
    assert f"is encrypted for {OURS.recipient}; here is only the key of {STRANGER.recipient}" in refusal(
        part(), STRANGER.identity
    )
    found = opened(SourceTree((SourceFile(PATH, part().encode()),), ()), list)
    assert "there is no age key here to open it" in str(found.errors[0])


def test_a_binary_file_is_refused_by_name() -> None:
    text = encrypted("any text", kind="binary")
    assert "was encrypted by sops as a binary file" in refusal(text, path="x.json")


@pytest.mark.parametrize("kind", ["dotenv", "ini"])
def test_what_is_no_yaml_is_refused_by_name(kind: str) -> None:
    text = encrypted("[a]\nPASSWORD = hunter2\n" if kind == "ini" else "PASSWORD=hunter2\n", kind=kind)
    said = "was encrypted by sops as dotenv or INI, not as YAML or JSON"
    assert refusal(text, path="k8s/db.env").startswith(f"k8s/db.env: {said}")


def test_only_secrets_may_be_encrypted() -> None:
    text = encrypted("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: hunter2\n", *SECRETS_ONLY)
    assert refusal(text).startswith(
        f"{PATH}:6: data.a: is encrypted, but stands in a ConfigMap: only what a Secret holds"
    )
    items = f"apiVersion: v1\nkind: List\nitems:\n- {SECRET[29:].replace(chr(10), chr(10) + '  ').rstrip()}\n"
    assert read(encrypted(items)).errors == ()
    mixed = f"{items}- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: c}}\n  data: {{a: b}}\n"
    assert "items[1].apiVersion: is encrypted, but stands in a ConfigMap" in refusal(encrypted(mixed))


def test_nobody_is_asked_for_a_key_without_need() -> None:
    def never() -> list[str]:
        raise AssertionError("asked")

    files = (SourceFile("a.yaml", b"sops: text\n"), SourceFile("b.yaml", b"a: b\n"), SourceFile("c.yaml", b"sops: [\n"))
    assert opened(SourceTree(files, ()), never).tree.files == files


# What is told of it


def test_errors_stand_in_git_s_lines_and_hold_no_value() -> None:
    text = encrypted(f"{SECRET}immutable: maybe\nhunter22: 1\n", *SECRETS_ONLY)
    lines = text.split("\n")
    (error, other) = read(text).errors
    assert (lines[error.line - 1], lines[other.line - 1]) == ("immutable: maybe", "hunter22: 1")
    error = ManifestError(PATH, 3, "", "is 'hunter2'", "write hunter2 elsewhere")
    found = open_text(text).told(ReadResult((), (error,), (error,)), rendered=False)
    assert [str(one) for one in (*found.errors, *found.warnings)] == [f"{PATH}:3: is '***' (write *** elsewhere)"] * 2
    assert "hunter2" not in repr(open_text(text))


def test_a_plain_secret_earns_a_warning_and_what_was_decrypted_none() -> None:
    found = read(SECRET)
    assert [str(one) for one in found.warnings] == [
        f"{PATH}:6: Secret shop/db: stringData: a Secret in plain text in Git can be read by everyone who reads the "
        "repository (give it new values and encrypt the file with sops: `manage.py repository age-key` says for whom)"
    ]
    assert read("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n").warnings == ()
    assert read(part()).warnings == ()


def test_what_was_decrypted_is_kept_in_no_cache() -> None:
    cache: dict[Any, Any] = {}
    found = open_text(part())
    for _ in range(2):
        result = read_manifests(found.tree.files, default_namespace="shop", policies={}, cache=cache)
    assert result.manifests[0].spec["data"]["password"] == "aHVudGVyMg=="
    assert cache == {}


def test_characters_that_only_json_takes_are_read() -> None:
    """One of them in a value that was not encrypted made the whole file unreadable."""
    for one in "\x7f\x80\x85\x98\u2028\u2029\uffff":
        text = json.dumps({"kind": f"a{one}b", "le": [one]}, ensure_ascii=False, indent=1)
        assert data(text) == [json.loads(text)], repr(one)
