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

from tests.deploy.proxy import CADDYFILE, proxy
from tests.deploy.test_compose import FILE, ROOT, SERVICES
from tests.processes.plant import environment
from tests.security.test_tokens import flower_paths
from tests.world import World
from worker.services import Child, free_port
from worker.supervisor import axkomet_command

pytestmark = pytest.mark.skipif("AXKOMET_DEPLOY_TEST" not in os.environ, reason="make deploy-test runs it")

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
