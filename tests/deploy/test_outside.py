"""What Docker Compose, hadolint and Caddy say of how it is deployed. `make deploy-test` brings them."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import URL, make_url

from tests.deploy.proxy import CADDYFILE, proxy
from tests.deploy.test_compose import FILE, OURS, ROOT, SERVICES, compose, dockerfile, last_stage
from tests.processes.plant import SHORT_TIMES, connections_toml, environment
from tests.security.test_tokens import flower_paths
from tests.world import World
from worker.services import Child, free_port
from worker.supervisor import axkomet_command

pytestmark = pytest.mark.skipif("AXKOMET_TEST_DEPLOY" not in os.environ, reason="make deploy-test runs it")

ACCESS = ("axkomet", "geheim,geheim")


def program(name: str, *arguments: str, cwd: Path = ROOT, **env: str) -> str:
    """What it says; it must end well."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, cwd=cwd, env=os.environ | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    assert program("hadolint", "--failure-threshold=style", "Dockerfile") == ""


def test_compose_understands_its_file(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)
    read = json.loads(program("docker-compose", "config", "--format=json", cwd=tmp_path))
    assert set(read["services"]) == SERVICES
    assert (
        read["services"]["proxy"]["ports"][0] | {"host_ip": "127.0.0.1", "published": "5555"}
        == read["services"]["proxy"]["ports"][0]
    )
    (tmp_path / ".env").write_text("AXKOMET_FLOWER_PORT=8000\nFLOWER_SITE=flower.example.com\n")
    (tmp_path / "settings.env").write_text("AXKOMET_POLL_SECONDS=30\n")
    read = json.loads(program("docker-compose", "config", "--format=json", cwd=tmp_path))
    assert read["services"]["proxy"]["ports"][0]["published"] == "8000"
    assert read["services"]["proxy"]["environment"] == {"FLOWER_SITE": "flower.example.com"}
    assert read["services"]["worker"]["environment"]["AXKOMET_POLL_SECONDS"] == "30"


def test_caddy_has_nothing_to_say_about_its_file() -> None:
    program("caddy", "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE))
    program("caddy", "fmt", "--diff", str(CADDYFILE))


@pytest.fixture
def flower_port(tmp_path: Path, world: World, database_url: str, redis_url: str) -> Iterator[int]:
    """Of a Flower."""
    port = free_port()
    urls = {"AXKOMET_DATABASE_URL": database_url, "AXKOMET_REDIS_URL": redis_url}
    env = environment(tmp_path, world, world.entry(), **urls)
    child = Child("flower", tmp_path)
    access = {"AXKOMET_FLOWER_PORT": str(port), "AXKOMET_FLOWER_PASSWORD": ACCESS[1]}
    child.start(axkomet_command("flower"), env | access, cwd=tmp_path)
    try:
        yield port
    finally:
        child.stop()


def patient(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, once there is one."""
    end = time.monotonic() + 30
    while True:
        try:
            answer = ask()
            if answer.status_code != httpx.codes.BAD_GATEWAY:
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


def test_no_path_leads_a_stranger_through_the_proxy(tmp_path: Path, flower_port: int) -> None:
    paths = [each.format(worker="worker-1@x", task="t") for each in flower_paths()]
    paths += ["/%6detrics", "//metrics", "/tasks/../metrics", "/metrics?tasks", "/metrics/", "/static/../healthcheck"]
    not_latin = {"Authorization": "Basic w6k6eA=="}  # Flower alone answers 500
    with proxy(tmp_path, flower_port, FLOWER_SITE="localhost") as (plain, secure):
        for address in (plain, secure):
            with httpx.Client(base_url=address, verify=False) as client:
                patient(lambda client=client: client.get("/"))  # type: ignore[misc]
                for path in paths:
                    for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "NOWHERE"):
                        for wrong in ({}, not_latin, {"Authorization": "Basic"}, {"X-Forwarded-User": "axkomet"}):
                            answer = client.request(method, path, headers=wrong)
                            assert (answer.status_code, answer.text) == (401, ""), (method, path, wrong)
                            assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_who_knows_the_password_gets_through_the_proxy(tmp_path: Path, flower_port: int) -> None:
    with proxy(tmp_path, flower_port) as (plain, _), httpx.Client(base_url=plain, auth=ACCESS) as client:
        assert patient(lambda: client.get("/")).status_code == 200
        for path in ("/tasks", "/broker", "/metrics", "/healthcheck", "/static/css/flower.css", "/api/tasks"):
            assert client.get(path).status_code == 200, path
        form = {"draw": "7", "start": "0", "length": "1", "order[0][column]": "0"}
        assert client.post("/tasks/datatable", data=form).json()["draw"] == 7, "the body comes through"
        assert client.post("/api/worker/shutdown/x").status_code == 403


@pytest.mark.timeout(1200)
def test_what_the_build_makes_runs_as_compose_says(
    tmp_path: Path, world: World, database_url: str, redis_url: str
) -> None:
    """The steps of the build, then the processes with the environment and the secrets of the compose file."""
    there = tmp_path / "opt" / "axkomet"
    build(tmp_path, there)
    urls = {"DATABASE": make_url(database_url), "REDIS": make_url(redis_url)}
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, url in urls.items():
        (secrets / f"AXKOMET_{name}_PASSWORD").write_text(f"{url.password}\n")
    (secrets / "AXKOMET_FLOWER_PASSWORD").write_text(ACCESS[1])
    (secrets / "KOMET_TOKEN").write_text(world.komet_token)
    (secrets / "AXERRIO_TOKEN").write_text(world.axerrio_token)
    (tmp_path / "connections.toml").write_text(connections_toml(world.entry()))
    env = compose()["services"]["worker"]["environment"] | SHORT_TIMES
    env |= {
        "AXKOMET_DATABASE_URL": env["AXKOMET_DATABASE_URL"].replace("postgres:5432", address(urls["DATABASE"])),
        "AXKOMET_REDIS_URL": env["AXKOMET_REDIS_URL"].replace("valkey:6379", address(urls["REDIS"])),
        "AXKOMET_CONNECTIONS": str(tmp_path / "connections.toml"),
        "AXKOMET_LISTEN": "127.0.0.1",
        "AXKOMET_SECRETS": str(secrets),
        "AXKOMET_FLOWER_PORT": str(free_port()),
        "AXKOMET_METRICS_PORT": str(free_port()),
        "PATH": f"{there}/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
    }

    def axkomet(*words: str) -> int:
        command = [str(there / "bin" / "axkomet"), *words]
        return subprocess.run(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL).returncode

    assert ["ENTRYPOINT", "[axkomet]"] in dockerfile()
    assert axkomet(*OURS["migrate"]) == 0
    children = {name: Child(name, tmp_path) for name in OURS if name != "migrate"}
    try:
        for name, child in children.items():
            child.start([str(there / "bin" / "axkomet"), *OURS[name]], env, cwd=tmp_path)
        until(lambda: all(axkomet(*OURS[name], "--check") == 0 for name in children))
        key = world.place()
        until(lambda: axkomet("orders", "show", key) == 0 and world.company["purchase_orders"])
        assert axkomet("check") == 0
    finally:
        for child in children.values():
            child.stop()


def build(folder: Path, there: Path) -> None:
    """Do what the Dockerfile's first stage says, with this folder in place of the file system."""
    env, cwd = dict(os.environ), folder
    for words in dockerfile()[1 : last_stage()]:
        match words:
            case ["ENV", *pairs]:
                env |= dict(pair.split("=", 1) for pair in pairs)
            case ["WORKDIR", path]:
                cwd = folder / path.strip("/")
                cwd.mkdir(parents=True)
            case ["COPY", "requirements.lock" | "pyproject.toml", *_]:
                for name in words[1:-1]:
                    shutil.copy(ROOT / name, cwd)
            case ["COPY", source, target]:
                shutil.copytree(ROOT / source, cwd / target, ignore=shutil.ignore_patterns("__pycache__"))
            case ["RUN", *command]:
                command = [sys.executable if each == "python" else each for each in command]
                command = [each.replace("/opt/axkomet", str(there)) for each in command]
                subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)
            case _:
                raise AssertionError(words)


def address(url: URL) -> str:
    """Host and port."""
    return f"{url.host}:{url.port}"


def until(condition: Callable[[], object]) -> None:
    """Wait for it."""
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
