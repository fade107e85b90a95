"""The cluster's certificate authority, judged by OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from deployer.adapters.authority import Issued, issue, make_authority, revocation_list
from tests.environment import require

DAY = 86_400.0


@pytest.fixture(scope="module")
def now() -> float:
    require(shutil.which("openssl"), "openssl is missing: apt-get install openssl")
    return time.time()


@pytest.fixture(scope="module")
def authority(now: float) -> Issued:
    return make_authority("pierhead cluster-1", now)


def verify(folder: Path, authority: Issued, certificate: str, *options: str, revoked: str = "") -> str:
    """What `openssl verify` says, "OK" when it is content."""
    for name, text in (("ca.pem", authority.certificate + revoked), ("it.pem", certificate)):
        (folder / name).write_text(text)
    command = ["openssl", "verify", "-x509_strict", *options, "-CAfile", "ca.pem", "it.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=20)
    return "OK" if done.returncode == 0 else done.stdout + done.stderr


def test_what_it_issues_holds_for_servers_and_clients(tmp_path: Path, authority: Issued, now: float) -> None:
    issued = issue(authority, "node-1", ["*.n12.mesh"], now, 90 * DAY)
    for purpose in ("sslserver", "sslclient"):
        assert verify(tmp_path, authority, issued.certificate, "-purpose", purpose) == "OK"
    assert verify(tmp_path, authority, issued.certificate, "-verify_hostname", "router-cli.n12.mesh") == "OK"
    assert "ostname" in verify(tmp_path, authority, issued.certificate, "-verify_hostname", "router-cli.n13.mesh")
    assert issued.expires_at == int(now) + 90 * DAY
    assert "PRIVATE" not in repr(issued)


@pytest.mark.parametrize(
    ("moved_seconds", "expected"),
    [(-240, "OK"), (-360, "not yet valid"), (DAY - 60, "OK"), (DAY + 60, "expired")],
)
def test_it_holds_for_its_time(
    tmp_path: Path, authority: Issued, now: float, moved_seconds: float, expected: str
) -> None:
    issued = issue(authority, "node-1", [], now, DAY)
    said = verify(tmp_path, authority, issued.certificate, "-attime", str(int(now + moved_seconds)))
    assert expected in said


def test_another_authority_is_not_ours(tmp_path: Path, authority: Issued, now: float) -> None:
    other = make_authority("pierhead cluster-1", now)
    issued = issue(other, "node-1", [], now, DAY)
    assert verify(tmp_path, authority, issued.certificate) != "OK"


def test_what_it_issued_signs_nothing(tmp_path: Path, authority: Issued, now: float) -> None:
    issued = issue(authority, "node-1", [], now, DAY)
    below = issue(issued, "node-2", [], now, DAY)
    (tmp_path / "chain.pem").write_text(issued.certificate)
    assert verify(tmp_path, authority, below.certificate, "-untrusted", "chain.pem") != "OK"


def test_a_revoked_certificate_is_refused_and_others_stay(tmp_path: Path, authority: Issued, now: float) -> None:
    kept, lost = (issue(authority, "node-1", [], now, DAY) for _ in range(2))
    assert kept.serial != lost.serial
    nobody = revocation_list(authority, [], now)
    assert verify(tmp_path, authority, lost.certificate, "-crl_check", revoked=nobody) == "OK"
    one = revocation_list(authority, [(lost.serial, now), (lost.serial, now)], now)
    assert "revoked" in verify(tmp_path, authority, lost.certificate, "-crl_check", revoked=one)
    assert verify(tmp_path, authority, kept.certificate, "-crl_check", revoked=one) == "OK"
