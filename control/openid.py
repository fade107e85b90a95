"""PIERHEAD_OIDC_*: an identity provider that vouches for people, beside the passwords that are kept here."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from control.data import DataError, secret

ID = "openid"
"""What the provider is called in addresses and in stored accounts; there is one."""
_ISSUER, _CLIENT, _SECRET = "PIERHEAD_OIDC_ISSUER", "PIERHEAD_OIDC_CLIENT_ID", "PIERHEAD_OIDC_CLIENT_SECRET"
_NAME = "PIERHEAD_OIDC_NAME"


@dataclass(frozen=True)
class Provider:
    """`issuer` is where `/.well-known/openid-configuration` is found; `name` is what the button says."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str = "OpenID Connect"


def provider(environment: Mapping[str, str]) -> Provider | None:
    """None when none is set. Raises DataError when only a part is."""
    given = {name: environment.get(name, "").strip() for name in (_ISSUER, _CLIENT)}
    given[_SECRET] = secret(environment, "PIERHEAD_OIDC_CLIENT_SECRET") or ""
    if not any(given.values()):
        return None
    if missing := [name for name, value in given.items() if not value]:
        raise DataError(f"{' and '.join(missing)} must be set too, since {next(filter(given.get, given))} is.")
    name = environment.get(_NAME, "").strip() or Provider.name
    return Provider(_issuer(given[_ISSUER]), given[_CLIENT], given[_SECRET], name)


def allauth_settings(found: Provider | None) -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS."""
    if found is None:
        return {}
    app = {
        "provider_id": ID, "name": found.name, "client_id": found.client_id, "secret": found.client_secret,
        "settings": {"server_url": found.issuer},
    }  # fmt: skip
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}


def _issuer(url: str) -> str:
    """Passwords are typed there, and what it says is believed: TLS, except on this machine."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http") or parts.query or parts.fragment:
        raise DataError(f"{_ISSUER} is no address of an identity provider: write https://HOST/PATH.")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise DataError(f"{_ISSUER} must begin with https://: whoever is on the way could sign in as anybody.")
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
