"""Which addresses notifications may be sent to: apprise's URLs, but only the kinds that leave this machine.

apprise knows kinds that write local files, talk to the desktop, or run what a URL names, and options that read a file
of ours and send it away. So kinds and options are lists of what is admitted, and the rest is refused by name. A URL
of a kind whose host its owner chooses must not lead into this machine or its link; names are looked up again when a
message is sent (`deployer.adapters.apprise_child`), and redirects are not followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from deployer.core.repository import local_reason

MAX_ADDRESS_LENGTH = 2048

OWN_SERVER = {
    "apprise": "Apprise API", "form": "form POST", "gotify": "Gotify", "hassio": "Home Assistant", "json": "JSON POST",
    "mailto": "e-mail", "matrix": "Matrix", "mmost": "Mattermost", "nctalk": "Nextcloud Talk", "ntfy": "ntfy",
    "rocket": "Rocket.Chat", "signal": "Signal API", "synology": "Synology Chat", "xml": "XML POST",
}  # fmt: skip
"""Kinds whose host its owner chooses; each with an `s` at the end for TLS."""
SERVICES = {
    "dingtalk": "DingTalk", "discord": "Discord", "feishu": "Feishu", "gchat": "Google Chat", "ilert": "ilert",
    "incidentio": "incident.io", "jira": "Jira Service Management", "lark": "Lark", "line": "LINE",
    "mailgun": "Mailgun", "opsgenie": "Opsgenie", "pagerduty": "PagerDuty", "pagertree": "PagerTree",
    "pbul": "Pushbullet", "pover": "Pushover", "sendgrid": "SendGrid", "signl4": "SIGNL4", "slack": "Slack",
    "splunk": "Splunk On-Call", "squadcast": "Squadcast", "tgram": "Telegram", "twilio": "Twilio", "wechat": "WeCom",
    "workflows": "Microsoft Teams", "wxteams": "Webex", "zulip": "Zulip",
}  # fmt: skip
PASTED = ("hooks.slack.com", "discord.com", "discordapp.com", "chat.googleapis.com", "logic.azure.com",
          "powerplatform.com")  # fmt: skip
"""Hosts whose https:// webhook addresses may be given as they were copied."""
OPTIONS = frozenset({
    "api-version", "apikey", "auth", "bcc", "botname", "cc", "channel", "channels", "click", "cto", "emojis", "expire",
    "flags", "footer", "format", "from", "href", "id", "interval", "key", "mdv", "method", "mode", "msgtype", "name",
    "overflow", "ping", "pa", "powerautomate", "preview", "priority", "region", "reply", "route", "routeid", "rto",
    "secret", "sid", "sig", "silent", "smtp", "sound", "sv", "sp", "tags", "team", "thread", "timestamp", "to", "token",
    "topic", "tts", "tz", "url_prefix", "user", "pass", "ver", "verify", "version", "webhook", "workspace", "wrap",
    "xtags",
})  # fmt: skip
OPEN_OPTIONS = ("json", "xml", "form")
"""Kinds whose options may also start with `+` (a header), `:` (a field) or `-` (a parameter of the request)."""

_NAME = re.compile(r"[a-z][a-z0-9]*")


class AddressRefused(Exception):
    """`sentence` says what is wrong with the address, without repeating what in it may be secret."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class NotificationAddress:
    """An admitted address. `shown`: its kind and, where that is no secret, its host; for people."""

    url: str
    kind: str
    shown: str


def admit(url: str, *, allow_local: bool) -> NotificationAddress:
    """Raises AddressRefused. `allow_local`: servers on this machine and its link are admitted."""
    scheme = _scheme(url)
    kind = scheme.removesuffix("s") if scheme.removesuffix("s") in OWN_SERVER else scheme
    if scheme == "https":
        _check_options(url, scheme)
        return _pasted(url, _host(url, scheme))
    if kind not in OWN_SERVER and kind not in SERVICES:
        raise AddressRefused(_unknown(scheme))
    _check_options(url, kind)
    if kind in SERVICES:
        return NotificationAddress(url, kind, f"{kind}://*** ({SERVICES[kind]})")
    host = _host(url, scheme)
    _check_hosts(url, kind, host, allow_local)
    return NotificationAddress(url, kind, f"{scheme}://{host or '***'}{'' if kind == 'mailto' else '/***'}")


def secrets_of(url: str) -> set[str]:
    """Every part of an address that may be a secret: what an error sentence must not repeat."""
    pieces = re.split(r"[/@:?&=#]+", url.partition("://")[2])
    found = {url, *pieces, *map(unquote, pieces)}
    return {one for one in found if len(one) >= 6}


def _scheme(url: str) -> str:
    if len(url) > MAX_ADDRESS_LENGTH:
        raise AddressRefused(f"the address has {len(url)} characters; at most {MAX_ADDRESS_LENGTH} are admitted")
    if not url.isprintable() or " " in url:
        raise AddressRefused("the address holds a space or a control character: write it as one word")
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or not _NAME.fullmatch(scheme):
        raise AddressRefused("the address has no kind: write KIND://..., such as jsons://hooks.example.com/pierhead")
    return scheme


def _host(url: str, scheme: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
        return parts.hostname or ""
    except ValueError as error:
        raise AddressRefused(f"the {scheme}:// address cannot be read: its host or port is not valid") from error


def _pasted(url: str, host: str) -> NotificationAddress:
    if not any(host == known or host.endswith(f".{known}") for known in PASTED):
        raise AddressRefused(
            f"https:// addresses are admitted of {', '.join(PASTED)}; for another webhook write jsons://HOST/PATH"
        )
    return NotificationAddress(url, "https", f"https://{host}/***")


def _unknown(scheme: str) -> str:
    if scheme == "http":
        return "http:// says nothing of what the server understands: write jsons://HOST/PATH (json:// without TLS)"
    known = ", ".join(sorted([*OWN_SERVER, *SERVICES]))
    return f"{scheme}:// is not admitted; use one of: {known}"


def _check_options(url: str, kind: str) -> None:
    for name, _ in _options(url):
        if kind in OPEN_OPTIONS and name[:1] in ("+", ":", "-") and len(name) > 1:
            continue
        if name.lower() not in OPTIONS:
            shown = "".join(one if one.isalnum() or one in "-_" else "?" for one in name[:40])
            raise AddressRefused(f"the option {shown} of a {kind}:// address is not admitted: leave it out")


def _options(url: str) -> list[tuple[str, str]]:
    """All that apprise may take for an option: it also parts them at `;`, and knows no fragment."""
    pairs = (pair.partition("=") for pair in re.split(r"[?&;]", url.partition("?")[2]) if pair)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _check_hosts(url: str, kind: str, host: str, allow_local: bool) -> None:
    """The server itself, and the one that an e-mail is handed to."""
    named = [value for name, value in _options(url) if name.lower() == "smtp"]
    for one in [host, *named] if kind == "mailto" else [host]:
        reason = local_reason(one.lower().partition(":")[0] if one in named else one.lower())
        if reason and not allow_local:
            raise AddressRefused(
                f"{one} is {reason}: notifications do not go there unless PIERHEAD_ALLOW_LOCAL_NOTIFICATIONS is 1"
            )
