"""A GitHub App as the way to a repository: who it is, and the short-lived signature with which it asks for a token.

The App's private key stays here. With a signature that is valid for nine minutes, GitHub is asked for a token of the
installation, which is valid for an hour and reaches what that installation was given.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field

from deployer.core.repository import RepositoryRefused, parse_repository_url, shown

GITHUB_API = "https://api.github.com"
VALID_SECONDS = 540
CLOCK_SLACK_SECONDS = 60

_APP = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True)
class GitHubApp:
    """`app_id`: its number or client id. `key`: the private key, PEM. `api_url`: without a slash at its end."""

    app_id: str
    installation_id: str
    key: str = field(repr=False)
    api_url: str = GITHUB_API


def check_app(app: GitHubApp, *, allow_local: bool) -> None:
    """Raises RepositoryRefused with the sentence for whoever gave it."""
    if not _APP.fullmatch(app.app_id):
        raise RepositoryRefused(f"{shown(app.app_id)} is not the id of a GitHub App: its settings page shows it")
    if not (app.installation_id.isascii() and app.installation_id.isdigit()) or len(app.installation_id) > 20:
        sentence = "it is the number at the end of the installation's address"
        raise RepositoryRefused(f"{shown(app.installation_id)} is not the id of an installation: {sentence}")
    address = parse_repository_url(f"{app.api_url}/app", allow_local=allow_local)
    if address.transport not in ("https", "http"):
        raise RepositoryRefused(f"{shown(app.api_url)}: GitHub's API is at https://, such as {GITHUB_API}")
    signature(app, 0)


def signature(app: GitHubApp, now: float) -> str:
    """A JSON Web Token (RS256) of the App, valid from a minute ago. Raises RepositoryRefused for a key that is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(app.key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise RepositoryRefused("the GitHub App's private key is none: give the .pem file that GitHub made for the App")
    begin = int(now) - CLOCK_SLACK_SECONDS
    claims = {"iat": begin, "exp": begin + VALID_SECONDS, "iss": app.app_id}
    text = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return f"{text}.{_encoded(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
