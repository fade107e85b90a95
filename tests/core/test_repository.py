"""What may be asked of a repository: every address that leads astray is refused with a sentence."""

from __future__ import annotations

import math
import subprocess
from ipaddress import ip_address

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from deployer.core.repository import (
    RepositoryAddress,
    RepositoryRefused,
    check_path,
    check_ref,
    forbidden_address,
    next_poll_at,
    parse_repository_url,
    shown,
)

param = pytest.param


def refusal(url: str, allow_local: bool = False) -> str:
    with pytest.raises(RepositoryRefused) as caught:
        parse_repository_url(url, allow_local=allow_local)
    return caught.value.sentence


# Addresses


@pytest.mark.parametrize(
    ("url", "transport", "host"),
    [
        ("https://github.com/shop/manifests", "https", "github.com"),
        ("https://Git.Example.COM:8443/a/b.git", "https", "git.example.com"),
        ("HTTPS://example.com/a", "https", "example.com"),
        ("https://10.0.0.7/a", "https", "10.0.0.7"),
        ("https://[2001:db8::1]/a", "https", "2001:db8::1"),
        ("https://dev.azure.com/org/my%20project/_git/repo", "https", "dev.azure.com"),
        ("ssh://git@example.com:2222/shop.git", "ssh", "example.com"),
        ("ssh://example.com/~ann/shop.git", "ssh", "example.com"),
        ("git@github.com:shop/manifests.git", "ssh", "github.com"),
        ("ann_b.c@git.example.com:shop.git", "ssh", "git.example.com"),
        ("https://1e100.net/x", "https", "1e100.net"),
    ],
)
def test_admitted(url: str, transport: str, host: str) -> None:
    address = parse_repository_url(url, allow_local=False)
    assert (address.transport, address.host, address.url, address.display) == (transport, host, url, url)


@pytest.mark.parametrize(
    ("url", "transport", "host"),
    [
        ("/srv/git/shop", "file", ""),
        ("file:///srv/git/shop.git", "file", ""),
        ("http://127.0.0.1:8080/shop", "http", "127.0.0.1"),
        ("http://localhost/shop", "http", "localhost"),
        ("http://[::1]:3000/shop", "http", "::1"),
        ("https://localhost/shop", "https", "localhost"),
        ("https://169.254.169.254/x", "https", "169.254.169.254"),
        ("ssh://git@127.0.0.1:2222/shop", "ssh", "127.0.0.1"),
        ("git@localhost:shop", "ssh", "localhost"),
    ],
)
def test_admitted_only_when_local_addresses_are_allowed(url: str, transport: str, host: str) -> None:
    address = parse_repository_url(url, allow_local=True)
    assert address == RepositoryAddress(url=url, transport=transport, host=host, display=url)  # type: ignore[arg-type]
    assert "--allow-local" in refusal(url) or "http://" in refusal(url)


def test_a_file_url_has_one_spelling() -> None:
    assert parse_repository_url("file://localhost/srv/x", allow_local=True).url == "file:///srv/x"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        param("", "the repository URL is empty", id="empty"),
        param("x" * 3000, "the repository URL has 3000 characters; at most 1024 are admitted", id="long"),
        param("--upload-pack=x", "cannot start with '-'", id="an option"),
        param("ext::sh -c id", "remote helpers", id="ext"),
        param("::x", "remote helpers", id="nameless helper"),
        param("git://example.com/x", "git:// is not supported", id="git protocol"),
        param("ftp://example.com/x", "ftp:// is not supported", id="ftp"),
        param("x.git", "is not a repository URL", id="a relative path"),
        param("example.com:shop", "is not a repository URL", id="scp without a user"),
        param("https://a.b/c\nd", "control character (U+000A)", id="a line break"),
        param("https://a.b/c\u2028d", "control character (U+2028)", id="a line separator"),
        param("https://a.b/\udcff", "control character (U+DCFF)", id="not UTF-8"),
        param("https://a.b/c%0ahost=evil", "encoded control character", id="an encoded line break"),
        param("https:///x", "host name is missing", id="no host"),
        param("https://-x/y", "host name is missing", id="a host as option"),
        param("https://a_b/y", "holds characters that no host name has", id="underscore"),
        param("https://exam ple.com/y", "holds characters that no host name has", id="a space"),
        param("https://example.com", "names a server but no repository", id="no path"),
        param("https://example.com/", "names a server but no repository", id="root"),
        param("https://example.com:0/x", "between 1 and 65535", id="port 0"),
        param("https://example.com:/x", "between 1 and 65535", id="empty port"),
        param("https://example.com:99999/x", "host or port cannot be read", id="port too high"),
        param("https://[::1/x", "host or port cannot be read", id="half an IPv6 address"),
        param("https://example.com/x?private_token=abc", "from '?' or '#' on", id="query"),
        param("https://example.com/x#y", "from '?' or '#' on", id="fragment"),
        param("https://example.com/x#", "from '?' or '#' on", id="empty fragment"),
        param("ssh://-oProxyCommand=id/x", "host name is missing", id="ssh option as host"),
        param("ssh://-l@example.com/x", "before '@'", id="ssh option as user"),
        param("-l@example.com:x", "cannot start with '-'", id="scp option as user"),
        param("git@example.com:-x", "cannot start with '-'", id="scp option as path"),
        param("ssh://git@example.com/-x", "'-' first", id="ssh option as path"),
        param("git@-x:y", "host name is missing", id="scp option as host"),
        param("$(id)@example.com:x", "before '@'", id="shell as user"),
        param("http://example.com/x", "in the clear", id="http"),
        param("file://server/x", "write file:///absolute/path", id="file with a host"),
    ],
)
def test_refused(url: str, sentence: str) -> None:
    assert sentence in refusal(url)
    if "--allow-local" not in refusal(url):
        assert sentence in refusal(url, allow_local=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://ann:s3cret@example.com/x",
        "https://s3cret@example.com/x",
        "https://:s3cret@example.com/x",
        "https://ann:s3cret@[::1]/x",
        "ssh://git:s3cret@example.com/x",
        "http://ann:s3cret@127.0.0.1/x",
        "https://example.com/x?token=s3cret",
        "git://ann:s3cret@example.com/x",
        "https://ann:s3cret@example.com:port/x",
        "https://ann:s3cret@/x",
    ],
)
@pytest.mark.parametrize("allow_local", [True, False])
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str, allow_local: bool) -> None:
    assert "s3cret" not in refusal(url, allow_local)


def test_credentials_in_an_address_name_the_option() -> None:
    assert refusal("https://ann:x@example.com/x").endswith("with --token-file")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.9.9.9",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "0x",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "169.254.1.1",
        "2852039166",
        "0xa9fea9fe",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "metadata.google.internal",
        "metadata.google.internal.",
        "metadata",
        "224.0.0.1",
        "255.255.255.255",
        "999.1.1.1",
        "08.1.1.1",
    ],
)
def test_hosts_on_this_machine_or_its_link_are_refused(host: str) -> None:
    assert "--allow-local" in refusal(f"https://{host}/x")
    if not host.startswith("["):
        assert "--allow-local" in refusal(f"git@{host}:x")


@given(st.ip_addresses())
@example(ip_address("127.0.0.1"))
@example(ip_address("::ffff:10.1.2.3"))
def test_no_address_of_this_machine_or_its_link_is_admitted(address: object) -> None:
    ip = ip_address(str(address))
    local = ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast
    if local:
        assert forbidden_address(str(ip))
    elif ip.is_global and ip.version == 4 and str(ip) not in ("100.100.100.200", "168.63.129.16"):
        assert forbidden_address(str(ip)) == ""


@given(
    st.text(max_size=60) | st.from_regex(r"(https|ssh|http|file|ext|-)?:?/?/?[a-z@:.\-/%0-9\[\]]{0,40}", fullmatch=True)
)
@settings(max_examples=500)
def test_whatever_is_admitted_is_neither_an_option_nor_holds_credentials(url: str) -> None:
    try:
        address = parse_repository_url(url, allow_local=False)
    except RepositoryRefused as refused:
        assert refused.sentence
        assert refused.sentence.isprintable()
        return
    assert address.transport in ("https", "ssh")
    assert address.host
    assert not address.url.startswith("-")
    assert address.url.isprintable()
    assert "::" not in address.url.partition("[")[0]
    assert address.transport == "ssh" or "@" not in address.url.split("/")[2]


@given(st.text(max_size=200))
def test_what_is_shown_is_printable_and_short(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 120


# Refs


@pytest.mark.parametrize(
    "ref", ["main", "feature/x", "refs/heads/main", "refs/pull/7/head", "v1.2", "HEAD", "a" * 40, "@a", "ü"]
)
def test_refs(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    [
        *(
            "",
            "-x",
            "--all",
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a@{1}",
            "@",
            "a//b",
            "/a",
            "a/",
        ),
        *(".a", "a/.b", "a.", "a.lock", "a.lock/b", "a\nb", "a\0b", "a\x7fb", "a" * 300, "\udcff"),
    ],
)
def test_refs_that_git_does_not_admit(ref: str) -> None:
    with pytest.raises(RepositoryRefused):
        check_ref(ref)


@given(st.text(alphabet="ab-./@{}~^:?*[\\ \n", min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_ref_is_admitted_as_git_itself_says(ref: str) -> None:
    try:
        admitted = check_ref(ref) == ref
    except RepositoryRefused:
        admitted = False
    told = subprocess.run(["git", "check-ref-format", "--allow-onelevel", ref], capture_output=True).returncode == 0
    assume(not ref.startswith("-"))
    assert admitted == told


# Paths


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("k8s", "k8s"),
        ("k8s/", "k8s"),
        ("./k8s//prod/.", "k8s/prod"),
        ("k8s/web.yaml", "k8s/web.yaml"),
        ("a b/ü", "a b/ü"),
        (".github/x", ".github/x"),
        ("...", "..."),
        ("a/-b", "a/-b"),
    ],
)
def test_paths(path: str, checked: str) -> None:
    assert check_path(path) == checked
    assert check_path(checked) == checked


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "-x",
        "./-x",
        ".//~x",
        "././-",
        "~/x",
        "a\\b",
        "a\nb",
        "a\0",
        ".git",
        "a/.GIT/x",
        ".git /x",
        "x" * 1100,
    ],
)
def test_paths_that_leave_the_repository_or_are_no_paths(path: str) -> None:
    with pytest.raises(RepositoryRefused):
        check_path(path)


@given(st.text(alphabet="ab./-~\\ ", max_size=12))
@example("./-")
@settings(max_examples=500)
def test_an_admitted_path_stays_inside_and_has_one_spelling(path: str) -> None:
    try:
        checked = check_path(path)
    except RepositoryRefused:
        return
    parts = checked.split("/") if checked else []
    assert not {"", ".", "..", ".git"} & set(parts)
    assert not checked.startswith(("-", "~", "/"))
    assert check_path(checked) == checked


# When to look again


@pytest.mark.parametrize(
    ("failures", "delay_seconds"),
    [(0, 30), (1, 60), (2, 120), (3, 240), (4, 480), (5, 900), (6, 900), (10_000, 900), (-3, 30)],
)
def test_the_period_doubles_with_each_failure_up_to_fifteen_minutes(failures: int, delay_seconds: float) -> None:
    assert next_poll_at(1000.0, 30, failures, 0.5) == pytest.approx(1000 + delay_seconds)


def test_a_period_above_the_cap_is_kept() -> None:
    assert next_poll_at(0.0, 3600, 5, 0.5) == pytest.approx(3600)


@given(
    now=st.floats(0, 4e9),
    period_seconds=st.floats(1, 86400),
    failures=st.integers(0, 10**6),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_the_next_look_is_ahead_and_spread_by_a_tenth(
    now: float, period_seconds: float, failures: int, jitter: float
) -> None:
    at = next_poll_at(now, period_seconds, failures, jitter)
    middle_seconds = next_poll_at(0, period_seconds, failures, 0.5)
    assert math.isfinite(at)
    assert 0.9 * middle_seconds - 1e-3 <= at - now <= 1.1 * middle_seconds + 1e-3
    assert middle_seconds <= next_poll_at(0, period_seconds, failures + 1, 0.5) <= max(period_seconds, 900) + 1e-3
