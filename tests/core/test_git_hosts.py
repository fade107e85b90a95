"""Each Git host asked as its makers document it, and its answers understood. Bodies are from their documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.git_hosts import (
    PROVIDERS,
    HostRefused,
    Place,
    PullRequest,
    Status,
    judge,
    place_of,
    pull_request,
    status,
)

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
LINK = "https://deploy.example.com/applications/shop"
SAID = Status(SHA, "failure", "Deployment shop/web: 0 of 3 pods\nbecame ready", "pierhead/shop", LINK)
WANTED = PullRequest("pierhead/revert-shop-6dcb09b", "main", "Revert k8s", "why")
TOKEN = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "told", "expected"),
    [
        ("https://github.com/octo/shop.git", "", Place("github", "https://api.github.com", "octo/shop")),
        ("git@github.com:octo/shop.git", "", Place("github", "https://api.github.com", "octo/shop")),
        ("ssh://git@ssh.github.com:443/octo/shop", "", Place("github", "https://api.github.com", "octo/shop")),
        ("https://gitlab.com/a/b/c/shop.git", "", Place("gitlab", "https://gitlab.com/api/v4", "a/b/c/shop")),
        ("https://codeberg.org/o/shop", "", Place("forgejo", "https://codeberg.org/api/v1", "o/shop")),
        ("https://bitbucket.org/ws/shop.git", "", Place("bitbucket", "https://api.bitbucket.org/2.0", "ws/shop")),
        ("https://git.example.com/o/shop.git", "", None),
        ("https://h.example.com:8443/o/shop", "gitea", Place("gitea", "https://h.example.com:8443/api/v1", "o/shop")),
        ("ssh://git@git.example.com:22/o/shop", "github", Place("github", "https://git.example.com/api/v3", "o/shop")),
        ("git@git.example.com:o/shop", "gitlab", Place("gitlab", "https://git.example.com/api/v4", "o/shop")),
        ("https://git.example.com/sub/o/shop", "gitea", Place("gitea", "https://git.example.com/api/v1", "o/shop")),
        ("https://bb.example.com/scm/KEY/shop.git", "bitbucket-server",
         Place("bitbucket-server", "https://bb.example.com", "KEY/shop")),
        ("https://[2001:db8::1]/o/shop", "gitea", Place("gitea", "https://[2001:db8::1]/api/v1", "o/shop")),
    ],
)  # fmt: skip
def test_where_the_api_is(url: str, told: str, expected: Place | None) -> None:
    assert place_of(url, told) == expected


def test_an_api_that_is_told() -> None:
    found = place_of("https://git.example.com/o/shop", "gitea", "https://api.example.com/x/")
    assert found == Place("gitea", "https://api.example.com/x", "o/shop")
    local = place_of("http://127.0.0.1:3000/o/shop", "gitea", "http://127.0.0.1:3000/api/v1", allow_local=True)
    assert local == Place("gitea", "http://127.0.0.1:3000/api/v1", "o/shop")


@pytest.mark.parametrize(
    ("url", "provider", "api", "sentence"),
    [
        ("https://github.com/octo/shop", "sourceforge", "", "sourceforge is no kind of Git host; there are: github"),
        ("https://github.com/octo", "", "", "names no owner and repository, as GitHub has them"),
        ("https://github.com/../shop", "", "", "names no owner and repository"),
        ("https://h.example.com/o/r", "gitea", "http://h.example.com/api", "write the API's address as https://"),
        ("https://h.example.com/o/r", "gitea", "https://ann:pw@h.example.com/api", "leave out credentials"),
        ("https://h.example.com/o/r", "gitea", "https://h.example.com/api?x=1", "everything from '?'"),
        ("https://h.example.com/o/r", "gitea", "https://127.0.0.1/api", "127.0.0.1 is a loopback address"),
        ("https://h.example.com/o/r", "gitea", "https://169.254.169.254/", "is a link-local address"),
        ("https://h.example.com/o/r", "gitea", "https://h:x/", "its host or port cannot be read"),
        ("https://h.example.com/o/r", "gitea", "https://h /", "holds a space"),
        ("ext::sh", "gitea", "", "run programs"),
    ],
)
def test_what_makes_no_sense_is_refused(url: str, provider: str, api: str, sentence: str) -> None:
    with pytest.raises(HostRefused) as refused:
        place_of(url, provider, api)
    assert sentence in refused.value.sentence
    assert "pw@" not in refused.value.sentence


def asked(provider: str, path: str = "o/shop") -> tuple[Place, str, dict[str, Any], dict[str, str]]:
    place = Place(provider, "https://api", path)
    ask = status(place, SAID, "", TOKEN)
    assert TOKEN not in repr(ask)
    return place, ask.url, json.loads(ask.body), dict(ask.headers)


DESCRIPTION = "Deployment shop/web: 0 of 3 pods became ready"


def test_github() -> None:
    _, url, body, headers = asked("github")
    assert url == f"https://api/repos/o/shop/statuses/{SHA}"
    assert body == {"state": "failure", "target_url": LINK, "description": DESCRIPTION, "context": "pierhead/shop"}
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"


@pytest.mark.parametrize("provider", ["gitea", "forgejo"])
def test_gitea_and_forgejo(provider: str) -> None:
    _, url, body, headers = asked(provider)
    assert url == f"https://api/repos/o/shop/statuses/{SHA}"
    assert body == {"state": "failure", "target_url": LINK, "description": DESCRIPTION, "context": "pierhead/shop"}
    assert headers["Authorization"] == f"token {TOKEN}"


def test_gitlab() -> None:
    _, url, body, headers = asked("gitlab", "a/b/shop")
    assert url == f"https://api/projects/a%2Fb%2Fshop/statuses/{SHA}"
    assert body == {"state": "failed", "target_url": LINK, "description": DESCRIPTION, "name": "pierhead/shop"}
    assert headers["PRIVATE-TOKEN"] == TOKEN


def test_bitbucket() -> None:
    place, url, body, headers = asked("bitbucket")
    assert url == f"https://api/repositories/o/shop/commit/{SHA}/statuses/build"
    assert body == {
        "state": "FAILED", "key": "pierhead/shop", "name": "pierhead/shop", "url": LINK, "description": DESCRIPTION,
    }  # fmt: skip
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    basic = status(place, SAID, "ann", TOKEN).headers["Authorization"]
    assert basic == "Basic YW5uOnMzY3IzdA=="
    with pytest.raises(HostRefused, match="set PIERHEAD_PUBLIC_URL"):
        status(place, Status(SHA, "success", "", "pierhead/shop"), "", TOKEN)


def test_bitbucket_data_center() -> None:
    _, url, body, _ = asked("bitbucket-server", "KEY/shop")
    assert url == f"https://api/rest/api/1.0/projects/KEY/repos/shop/commits/{SHA}/builds"
    assert body["state"] == "FAILED"
    assert asked("bitbucket-server", "~ann/shop")[1].startswith("https://api/rest/api/1.0/users/ann/repos/shop/")


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("github", "/repos/o/shop/pulls",
         {"title": "Revert k8s", "body": "why", "head": WANTED.branch, "base": "main"}),
        ("gitea", "/repos/o/shop/pulls",
         {"title": "Revert k8s", "body": "why", "head": WANTED.branch, "base": "main"}),
        ("gitlab", "/projects/o%2Fshop/merge_requests",
         {"title": "Revert k8s", "description": "why", "source_branch": WANTED.branch, "target_branch": "main",
          "remove_source_branch": True}),
        ("bitbucket", "/repositories/o/shop/pullrequests",
         {"title": "Revert k8s", "description": "why", "close_source_branch": True,
          "source": {"branch": {"name": WANTED.branch}}, "destination": {"branch": {"name": "main"}}}),
        ("bitbucket-server", "/rest/api/1.0/projects/o/repos/shop/pull-requests",
         {"title": "Revert k8s", "description": "why", "fromRef": {"id": f"refs/heads/{WANTED.branch}"},
          "toRef": {"id": "refs/heads/main"}}),
    ],
)  # fmt: skip
def test_pull_requests(provider: str, path: str, body: dict[str, Any]) -> None:
    ask = pull_request(Place(provider, "https://api", "o/shop"), WANTED, "", TOKEN)
    assert (ask.url, json.loads(ask.body)) == (f"https://api{path}", body)


@pytest.mark.parametrize(
    ("provider", "body", "link"),
    [
        ("github", {"html_url": "https://github.com/octocat/Hello-World/pull/1347", "number": 1347},
         "https://github.com/octocat/Hello-World/pull/1347"),
        ("gitlab", {"iid": 1, "web_url": "http://gitlab.example.com/my-group/my-project/merge_requests/1"},
         "http://gitlab.example.com/my-group/my-project/merge_requests/1"),
        ("bitbucket", {"links": {"html": {"href": "https://bitbucket.org/o/r/pull-requests/7"}}},
         "https://bitbucket.org/o/r/pull-requests/7"),
        ("bitbucket-server", {"links": {"self": [{"href": "https://bb.example.com/projects/K/repos/r/pull-requests/1"}]}},
         "https://bb.example.com/projects/K/repos/r/pull-requests/1"),
        ("github", {"html_url": "javascript:alert(1)"}, ""),
        ("github", {"html_url": ["https://x"]}, ""),
        ("github", [], ""),
    ],
)  # fmt: skip
def test_a_link_to_what_was_made(provider: str, body: object, link: str) -> None:
    verdict = judge(Place(provider, "https://api", "o/shop"), 201, json.dumps(body).encode(), of_status=False)
    assert (verdict.done, verdict.url) == (True, link)


@pytest.mark.parametrize(
    ("provider", "code", "body", "final", "sentence"),
    [
        ("github", 401, {"message": "Bad credentials"}, True,
         "GitHub does not accept the token (Bad credentials): it needs Commit statuses: read and write"),
        ("github", 403, {"message": "Resource not accessible by personal access token"}, True, "GitHub forbids it"),
        ("github", 403, {"message": "API rate limit exceeded for user ID 1."}, False, "wants to be asked less often"),
        ("github", 404, {"message": "Not Found"}, True, "GitHub shows no o/shop to the token (Not Found)"),
        ("github", 422, {"message": "Validation Failed", "errors": [{"message": "No commit found for SHA: 6dcb"}]},
         True, "GitHub refused it with 422 (Validation Failed: No commit found for SHA: 6dcb)"),
        ("gitlab", 403, {"message": "403 Forbidden"}, True, "it needs the scope api and the role Developer"),
        ("gitlab", 400, {"message": {"state": ["is invalid"]}}, True, 'GitLab refused it with 400 ({"state": ["is inv'),
        ("gitea", 403, {"message": "token does not have at least one of required scope(s): [write:repository]"}, True,
         "it needs write:repository"),
        ("bitbucket", 403, {"type": "error", "error": {"message": "Your credentials lack one or more scopes."}}, True,
         "Bitbucket Cloud forbids it (Your credentials lack one or more scopes.): it needs repository:write"),
        ("bitbucket-server", 401, {"errors": [{"message": "Authentication failed."}]}, True,
         "(Authentication failed.)"),
        ("gitea", 429, {}, False, "Gitea wants to be asked less often"),
        ("gitea", 502, "not even JSON", False, "Gitea answered 502"),
        ("gitea", 302, {}, False, "Gitea answered 302"),
    ],
)  # fmt: skip
def test_no_is_understood(provider: str, code: int, body: object, final: bool, sentence: str) -> None:
    verdict = judge(Place(provider, "https://api", "o/shop"), code, json.dumps(body).encode(), of_status=True)
    assert not verdict.done
    assert verdict.final is final
    assert sentence in verdict.sentence


def test_gitlab_that_says_so_already() -> None:
    body = b'{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition)"}'
    place = Place("gitlab", "https://api", "o/shop")
    assert judge(place, 400, body, of_status=True).done
    assert not judge(place, 400, body, of_status=False).done


def test_what_is_too_long_is_cut() -> None:
    long = Status(SHA, "success", "x" * 500, "pierhead/" + "a" * 60, LINK)
    body = json.loads(status(Place("bitbucket", "https://api", "o/shop"), long, "", TOKEN).body)
    assert (len(body["description"]), len(body["key"])) == (140, 40)


@given(st.sampled_from(sorted(PROVIDERS)), st.integers(100, 599), st.binary(max_size=200), st.booleans())
def test_any_answer_is_understood_or_told(provider: str, code: int, body: bytes, of_status: bool) -> None:
    verdict = judge(Place(provider, "https://api", "o/shop"), code, body, of_status=of_status)
    assert verdict.done or (verdict.sentence and verdict.sentence.isprintable())
