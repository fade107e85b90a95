"""docker-compose.yml and the image: no default secrets, and only commands that exist."""

import re
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from control.data import HOME

TEXT = (HOME / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "pierhead"]


def test_who_runs() -> None:
    assert set(SERVICES) == {"migrate", "web", "worker", "beat", "watch", "postgres", "redis"}
    assert set(OURS) == {"migrate", "web", "worker", "beat", "watch"}
    assert all("healthcheck" in service for name, service in SERVICES.items() if name != "migrate")


def test_it_does_not_start_without_its_secrets() -> None:
    secrets = [found for found in re.findall(r"\$\{([^}]+)\}", TEXT) if re.search("PASSWORD|KEY|CLUSTER", found)]
    assert len(secrets) >= 7
    assert all(re.fullmatch(r"([A-Z_]+):\?put \1 into \.env", found) for found in secrets)


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    parser.parse_args(arguments)


def test_the_image_is_what_the_lock_says_and_not_root() -> None:
    dockerfile = (HOME / ".docker/Dockerfile").read_text()
    assert "--require-hashes -r /requirements.txt" in dockerfile
    assert "\nUSER pierhead\n" in dockerfile
    assert "PIERHEAD_NO_BOOTSTRAP=1" in dockerfile
