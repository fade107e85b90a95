"""Which addresses messages may go to: nothing that reads files here, runs programs, or leads into this machine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.notification_address import AddressRefused, admit, secrets_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("jsons://hooks.example.com/secret?+X-Key=abc&:field=x&method=put", "jsons://hooks.example.com/***"),
        ("json://10.0.0.5:8080/x", "json://10.0.0.5/***"),
        ("ntfys://ann:pw@ntfy.example.com/topic", "ntfys://ntfy.example.com/***"),
        ("mailtos://ann:pw@example.com?to=ops@example.com&smtp=mail.example.com", "mailtos://example.com"),
        ("slack://T1/B1/xyz/#ops", "slack://*** (Slack)"),
        ("tgram://123:abc/456", "tgram://*** (Telegram)"),
        ("https://hooks.slack.com/services/T1/B1/xyz", "https://hooks.slack.com/***"),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/***"),
        ("https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t", "https://chat.googleapis.com/***"),
        (
            "https://prod-1.westus.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke"
            "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=s",
            "https://prod-1.westus.logic.azure.com/***",
        ),
    ],
)
def test_admitted(url: str, shown: str) -> None:
    assert admit(url, allow_local=False).shown == shown


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("file:///etc/passwd", "file:// is not admitted; use one of: apprise, "),
        ("syslog://", "syslog:// is not admitted"),
        ("dbus://", "dbus:// is not admitted"),
        ("windows://", "windows:// is not admitted"),
        ("macosx://", "macosx:// is not admitted"),
        ("exec://x", "exec:// is not admitted"),
        ("vapid://x/y", "vapid:// is not admitted"),
        ("rsyslog://10.0.0.1", "rsyslog:// is not admitted"),
        ("http://hooks.example.com/x", "http:// says nothing of what the server understands"),
        ("https://hooks.example.com/x", "https:// addresses are admitted of hooks.slack.com"),
        ("https://hooks.slack.com.evil.example/x", "https:// addresses are admitted of hooks.slack.com"),
        ("slack://T1/B1/xyz?template=/etc/passwd", "the option template of a slack:// address is not admitted"),
        ("slack://T1/B1/xyz?to=a;TEMPLATE=/etc/passwd", "the option TEMPLATE of a slack:// address"),
        ("slack://T1/B1/xyz/#ops?%74emplate=/etc/passwd", "the option template of a slack:// address"),
        ("https://hooks.slack.com/services/T1/B1/x?template=/etc/passwd", "the option template of a https:// address"),
        ("https://prod-1.logic.azure.com/workflows/1?sig=s&template=/etc/passwd", "the option template of a https://"),
        ("json://h.example.com/?redirect=yes", "the option redirect of a json:// address"),
        ("ntfy://h.example.com/t?attach=file:///etc/passwd", "the option attach of a ntfy:// address"),
        ("ntfy://h.example.com/t?+x=1", "the option ?x of a ntfy:// address"),
        ("json://127.0.0.1/x", "127.0.0.1 is a loopback address: notifications do not go there unless"),
        ("json://localhost/x", "localhost is a loopback address"),
        ("json://2130706433/x", "2130706433 is a loopback address"),
        ("json://[::ffff:127.0.0.1]/x", "is a loopback address"),
        ("jsons://169.254.169.254/latest", "169.254.169.254 is a link-local address"),
        ("form://metadata.google.internal/x", "metadata.google.internal is a cloud metadata address"),
        ("mailto://ann:pw@example.com?smtp=127.0.0.1:25", "127.0.0.1:25 is a loopback address"),
        ("json:///x y", "holds a space or a control character"),
        ("json", "the address has no kind"),
        ("json://h:99999999/x", "the json:// address cannot be read"),
        ("json://" + "x" * 3000, "the address has 3007 characters"),
    ],
)
def test_refused(url: str, sentence: str) -> None:
    with pytest.raises(AddressRefused, match=None) as refused:
        admit(url, allow_local=False)
    assert sentence in refused.value.sentence
    assert "passwd" not in refused.value.sentence


def test_this_machine_when_it_is_meant() -> None:
    assert admit("json://127.0.0.1:8080/x", allow_local=True).shown == "json://127.0.0.1/***"


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_text_is_admitted_or_refused_with_a_sentence(text: str) -> None:
    for url in (text, f"json://{text}", f"slack://{text}"):
        try:
            assert admit(url, allow_local=False).url == url
        except AddressRefused as refused:
            assert refused.sentence.isprintable()


def test_every_part_of_an_address_counts_as_a_secret() -> None:
    found = secrets_of("slack://T1ABCDEF/B1ABCDEF/x%2Fyzzzzz?token=abcdefg")
    assert {"T1ABCDEF", "B1ABCDEF", "x/yzzzzz", "abcdefg"} <= found
