"""A planted token, and every password, are hunted for through all that anybody may ever see."""

import base64
import contextlib
import html
import itertools
import json
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import pytest
from redis import Redis, RedisError
from sqlalchemy import create_engine, text

from clients.axerrio.client import AxerrioClient
from clients.axerrio.settings import AxerrioSettings
from clients.errors import ClientError
from clients.http import OpenGate
from clients.komet.client import KometClient
from clients.komet.profile import KometProfile
from clients.komet.settings import KometSettings
from tests.between import Reply
from tests.command import run_command
from tests.processes.plant import Plant, connections_toml
from tests.security.conftest import PlantedWorld
from tests.security.hunt import assert_absent, traces
from worker.connections import load_connections, read_token
from worker.problems import Problem
from worker.services import Child, free_port
from worker.settings import check_database_url, check_redis_url
from worker.supervisor import axkomet_command
from worker.task_events import told

Places = Iterator[tuple[str, str | bytes]]
OURS = ("clients.", "tasks.", "worker.", "models.")
FLOWER_QUERIES = (
    "/workers?refresh=1",
    "/tasks/datatable?draw=1&start=0&length=1000&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name",
    "/api/workers?refresh=1&status=0",
    "/api/workers?workername={worker}",
    "/api/tasks?limit=1000",
)
#: What Flower shows to anybody; the proxy in front of it does not.
OPEN_IN_FLOWER = {"/metrics", "/healthcheck", "/static/css/flower.css", "/logout", "/login/", "/nowhere"}


def refusals(token: str) -> list[Reply]:
    """All the ways in which a system may repeat the token that it does not like."""
    as_html = f"<html><body>authenticationToken={html.escape(token)} ({token})</body></html>".encode()
    failed = {"status": 0, "message": f"Token {token} may not do this."}
    page = {"Content-Type": "text/html"}
    echo = {"X-Echo": token, "Set-Cookie": f"token={token}", "Retry-After": token}
    address = f"https://elsewhere.example/?authenticationToken={quote(token, safe='')}"
    return [
        Reply(json.dumps(failed).encode(), 200, echo),
        Reply(json.dumps({"status": 0, "message": address}).encode(), 200),
        Reply(json.dumps(failed).encode(), 403, echo),
        Reply(json.dumps({"title": token, "errors": [{"pointer": token, "message": token}]}).encode(), 422),
        Reply(json.dumps({"status": token, token: token}).encode(), 200),
        Reply(as_html, 500, page | echo),
        Reply(as_html, 200, page),
        Reply(as_html, 404, page),
        Reply(b"", 302, {"Location": address}),
        Reply(b'{"token": "' + token.encode(), 200),
        Reply(json.dumps(failed).encode(), 429, {"Retry-After": "0"}),
    ]


def repeating(token: str, arrays: Iterable[str]) -> Callable[[str, Reply], Reply]:
    """Each list holds for a while one more record, which cannot be read and says the token wherever it can."""
    left = dict.fromkeys(arrays, 4)

    def change(path: str, reply: Reply) -> Reply:
        try:
            content = json.loads(reply.body)
        except ValueError:
            return reply
        array = next((each for each in left if isinstance(content, dict) and content.get(each)), None)
        if array is None or not left[array]:
            return reply
        left[array] -= 1
        stranger = {"id": token, "key": f"x {quote(token)}", "number": {"is": token}, token: token, "details": token}
        content[array].append(stranger)
        return Reply(json.dumps(content).encode(), reply.status, reply.headers | {"X-Echo": token})

    return change


@contextlib.contextmanager
def listening(redis_url: str) -> Iterator[list[str]]:
    """All that anybody says to the broker meanwhile."""
    heard: list[str] = []
    client = Redis.from_url(redis_url, socket_timeout=None)
    done = threading.Event()

    def listen() -> None:
        with contextlib.suppress(RedisError, ValueError, OSError), client.monitor() as monitor:  # type: ignore[no-untyped-call]
            for command in monitor.listen():
                heard.append(command["command"])
                if done.is_set():
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        done.set()
        with Redis.from_url(redis_url) as other:
            other.ping()
        thread.join(5)
        client.close()


@pytest.mark.timeout(400)
def test_no_secret_shows_anywhere(
    make_plant: Callable[..., Plant],
    world: PlantedWorld,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    postgres_home: Path,
) -> None:
    password = f"{uuid4().hex},{uuid4().hex}"
    settings = {
        "AXKOMET_LOG_LEVEL": "DEBUG",
        "AXKOMET_LOG_FORMAT": "console",
        "AXKOMET_FLOWER_PASSWORD": password,
        "AXKOMET_FLOWER_PORT": str(free_port()),
    }
    services = [str(urlsplit(url).password) for url in (database_url, redis_url)]
    secrets = [world.komet_token, world.axerrio_token, password, *services]
    with listening(redis_url) as heard:
        plant = make_plant(settings=settings)
        plant.children |= {name: Child(name, plant.folder) for name in ("worker-json", "flower-0")}
        plant.start("flower-0")
        plant.children["worker-json"].start(
            axkomet_command("worker"), plant.env | {"AXKOMET_LOG_FORMAT": "json"}, cwd=plant.folder
        )
        keys = trouble(plant, world)
        pages = list(flower(plant, password))
        processes = list(process_list())
        plant.stop()
        shown = list(commands(plant, keys[-1]))
    assert not plant.deaths
    assert any(b"axkomet\0flower" in line for _, line in processes)
    assert_absent(secrets, [("broker", "\n".join(heard)), *processes, *pages, *shown])
    assert_absent(secrets, kept_in_redis(redis_url))
    assert assert_absent(secrets, rows(database_url)) > 50
    files = [file for file in [*tmp_path.rglob("*"), *(postgres_home / "log").iterdir()] if file.is_file()]
    assert any("postgres" in file.name for file in files)
    assert_absent(secrets, [(str(file), file.read_bytes()) for file in files])
    assert len(heard) > 100
    said = plant.logs()
    assert said.count("Traceback (most recent call last)") >= 4, "errors of our own were there to be seen"
    assert said.count("…") > 5, "what was hidden was there to be seen"


def trouble(plant: Plant, world: PlantedWorld) -> list[str]:
    """Orders that go well and orders that go wrong in all ways; gives their keys."""
    keys = [plant.earn_proof()]
    world.komet.change = repeating(world.komet_token, ["prebooks", "purchaseOrders"])
    world.axerrio.change = repeating(world.axerrio_token, ["results"])
    broken = [plant.break_at("komet.prebook.create", point, "raise") for point in ("intended", "sent", "answered")]
    broken.append(plant.break_at("axerrio.external-references", "sent", "raise"))
    world.komet.instead = {
        "prebook.create": refusals(world.komet_token),
        "purchase.order.create": refusals(world.komet_token)[:2],
    }
    world.axerrio.instead = {"external-references": refusals(world.axerrio_token)[2:8]}
    said = f"ring us, {world.axerrio_token} or {quote(world.axerrio_token)}"
    lines = [world.line("1", notes=said, markCode=said)]
    keys += [world.place(comments=said, customerReference=said, lines=lines) for _ in range(12)]

    def served() -> bool:
        waiting = [*world.komet.instead.values(), *world.axerrio.instead.values()]
        return not any(waiting) and not any(file.exists() for file in broken)

    plant.wait_until(served, 60, lambda: (world.komet.instead, world.axerrio.instead, broken))
    plant.work(1)
    return keys


def flower(plant: Plant, password: str) -> Places:
    """Its pages, its API, and what it says to strangers."""
    address = f"http://127.0.0.1:{plant.env['AXKOMET_FLOWER_PORT']}"
    with httpx.Client(base_url=address, auth=("axkomet", password), timeout=10) as client:

        def asked(path: str) -> httpx.Response | None:
            with contextlib.suppress(httpx.TransportError):
                return client.get(path)
            return None

        def ready() -> bool:
            answer = asked("/api/workers?refresh=1")
            return answer is not None and bool(answer.json()) and bool(client.get("/api/tasks").json())

        plant.wait_until(ready, 30, "Flower")
        worker = next(iter(client.get("/api/workers?refresh=1").json()))
        tasks = client.get("/api/tasks?limit=1000").json()
        failed = [id_ for id_, task in tasks.items() if task["state"] == "FAILURE"]
        assert failed, "a task that failed is there to be seen"
        assert all(task["args"] for task in tasks.values() if task["name"] == "create_prebook")
        assert {(tasks[id_]["result"], tasks[id_]["traceback"]) for id_ in failed} == {(told("FailpointError"), None)}
        assert {task["args"] for task in tasks.values() if task["name"] == "sweep"} == {"all connections"}
        results = [task["result"] for task in tasks.values() if task["state"] == "SUCCESS"]
        assert any(re.fullmatch(r"\d+ due", each) for each in results)
        assert not any(each.startswith(("'", '"')) for each in results)
        paths = [each.format(worker=worker, task=failed[0]) for each in (*flower_paths(), *FLOWER_QUERIES)]
        for method, path in itertools.product(("GET", "POST"), paths):
            answer = client.request(method, path)
            assert answer.status_code != 500, (method, path, answer.text)
            assert answer.status_code != 200 or method == "GET" or "datatable" in path, (
                "Flower is there to be looked at"
            )
            yield f"{method} {path}", f"{answer.headers} {answer.text}"
    for wrong in (None, ("axkomet", "wrong"), ("axkomet", password.partition(",")[0])):
        with httpx.Client(base_url=address, auth=wrong, timeout=10) as stranger:
            answers = {path: stranger.get(path) for path in paths}
        assert {path for path, answer in answers.items() if answer.status_code not in (401, 405)} == OPEN_IN_FLOWER
        yield from ((path, answer.text) for path, answer in answers.items())


def flower_paths() -> Iterator[str]:
    """Every page that Flower has, of one worker and one task."""
    from flower.urls import handlers

    for handler in handlers:
        pattern = handler.regex.pattern.removesuffix("$") if hasattr(handler, "regex") else handler[0]
        subject = "css/flower.css" if "static" in pattern else "{worker}" if "/worker" in pattern else "{task}"
        yield re.sub(r"\(\..\)", subject, pattern).replace("/?", "/").replace(".*", "/nowhere")


def commands(plant: Plant, key: str) -> Places:
    """What the commands say, with everything as it should be and where neither system nor service lets us in."""
    for arguments in (
        ("orders", "show", key, "--json"),
        ("orders", "show", key),
        ("orders", "list", "--json"),
        ("status", "--json"),
        ("check",),
    ):
        yield " ".join(arguments), run(plant, *arguments)
    tls, nowhere = plant.world.entry(name="tls"), plant.world.entry(name="nowhere")
    for system in ("komet", "axerrio"):
        tls[system]["base_url"] = tls[system]["base_url"].replace("http:", "https:")
        nowhere[system]["base_url"] = "https://nowhere.invalid"
    nowhere["komet"]["company_code"] = "NOWHERE"
    file = plant.folder / "wrong.toml"
    file.write_text(connections_toml(tls, nowhere))
    yield "check of what cannot be reached", run(plant, "check", "--json", AXKOMET_CONNECTIONS=str(file))
    token = quote(plant.world.komet_token, safe="")
    for name in ("AXKOMET_DATABASE_URL", "AXKOMET_REDIS_URL"):
        url = re.sub(":[^:@]+@", f":{token}@", plant.env[name])
        assert token in url
        yield f"status with a wrong {name}", run(plant, "status", **{name: url})


def run(plant: Plant, *arguments: str, **variables: str) -> str:
    """All that a command says."""
    done = run_command(arguments, plant.env | {"AXKOMET_LOG_LEVEL": "DEBUG"} | variables, plant.folder)
    assert done.stdout + done.stderr
    return done.stdout + done.stderr


def kept_in_redis(redis_url: str) -> Places:
    """Every key, with what it holds."""
    read: dict[str, Callable[[Redis, bytes], Any]] = {
        "string": lambda client, key: client.get(key),
        "list": lambda client, key: client.lrange(key, 0, -1),
        "set": lambda client, key: client.smembers(key),
        "zset": lambda client, key: client.zrange(key, 0, -1),
        "hash": lambda client, key: client.hgetall(key),
    }
    with Redis.from_url(redis_url) as client:
        for key in client.keys("*"):
            kind = client.type(key).decode()
            if kind != "none":
                yield repr(key), repr((key, read[kind](client, key)))


def rows(database_url: str) -> Places:
    """Every row of every table, as text."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        for table in connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all():
            for row in connection.scalars(text(f'SELECT "{table}"::text FROM "{table}"')):
                yield table, row
    engine.dispose()


def process_list() -> Iterator[tuple[str, bytes]]:
    """The command line of every process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield str(folder), (folder / "cmdline").read_bytes()


@pytest.mark.parametrize("system", ["komet", "axerrio"])
def test_no_mistake_in_the_settings_repeats_a_secret(
    world: PlantedWorld, system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a token or a password stands in the wrong place: the sentence names the place alone."""
    token = world.komet_token if system == "komet" else world.axerrio_token
    monkeypatch.setenv("TOKENS", f"{token} {token}")
    monkeypatch.setenv("NO_ASCII", f"{token}é")
    in_url = quote(token, safe="")
    complaints: list[tuple[str, str]] = []
    file = tmp_path / "connections.toml"
    for wrong in (
        {"base_url": f"https://nowhere.invalid/?authenticationToken={in_url}"},
        {"base_url": f"https://{in_url}@nowhere.invalid"},
        {"base_url": token},
        {"token_env": token},
        {"token": token},
        {"token_env": "TOKENS"},
        {"token_env": "NO_ASCII"},
    ):
        entry = world.entry()
        entry[system] |= wrong
        file.write_text(connections_toml(entry))
        with pytest.raises(Problem) as caught:
            token_by(file, system)
        complaints.append((str(wrong), everything_of(caught.value)))
    for check, url in (
        (check_database_url, f"postgresql://axkomet:p@{token}@db/axkomet"),
        (check_database_url, f"postgresql://axkomet:{in_url}@db:x/axkomet"),
        (check_database_url, in_url),
        (check_redis_url, f"redis://x:1/{token}@cache/0"),
        (check_redis_url, f"redis://:{in_url}@cache:x/0"),
        (check_redis_url, in_url),
    ):
        with pytest.raises(Problem) as caught:
            check(url)
        complaints.append((url, everything_of(caught.value)))
    assert assert_absent([token], complaints) == 13


def token_by(file: Path, system: str) -> str:
    (connection,) = load_connections(file)
    return read_token(file, connection.name, system, getattr(connection, system))


@pytest.mark.parametrize("system", ["komet", "axerrio"])
def test_no_error_shows_the_token(world: PlantedWorld, system: str) -> None:
    """Not by its words, its cause or context, nor by what is ours in the frames that it passed."""
    token = world.komet_token if system == "komet" else world.axerrio_token
    server = world.komet if system == "komet" else world.axerrio

    def boom() -> None:
        raise RuntimeError("our own")

    cases: list[tuple[str, Reply | None, Callable[[], None] | None]] = [
        (server.url, reply, None) for reply in refusals(token)
    ]
    cases += [
        (server.url, None, boom),
        (server.url.replace("http:", "https:"), None, None),
        ("https://nowhere.invalid", None, None),
        ("http://127.0.0.1:1", None, None),
        (f"http://{token}", None, None),
    ]
    shown: list[tuple[str, str]] = []
    for url, reply, before_send in cases:
        server.instead = {"": [reply] if reply else []}
        with contextlib.closing(client_of(system, url, token)) as client:
            try:
                shown.append((f"{url} {reply}", repr(write_by(client, before_send))))
            except (ClientError, RuntimeError) as error:
                shown.append((f"{url} {reply}", everything_of(error)))
    assert assert_absent([token], shown) == len(cases)
    assert sum("Traceback" in what for _, what in shown) >= 12


def write_by(client: KometClient | AxerrioClient, before_send: Callable[[], None] | None) -> object:
    if isinstance(client, KometClient):
        return client.create_prebook({"customerCode": "C100"}, before_send)
    return client.put_references("SO-1", {}, idempotency_key="i", before_send=before_send)


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_traceback_shows_the_variables_of_its_frames(form: str, world: PlantedWorld) -> None:
    """The token is one of them, wherever a call is on the way."""
    program = f"""
import sys, structlog
from tests.security.test_tokens import client_of, write_by
from worker.logs import configure_logs

configure_logs("DEBUG", {form!r})
try:
    write_by(client_of("komet", {world.komet.url!r}, sys.stdin.read()), lambda: 1 / 0)
except ZeroDivisionError:
    structlog.get_logger().exception("failed")
    raise
"""
    done = subprocess.run([sys.executable, "-c", program], input=world.komet_token, capture_output=True, text=True)
    assert done.stderr.count("ZeroDivisionError") >= 2, done.stderr
    assert_absent([world.komet_token], [("stderr", done.stderr)])


def client_of(system: str, url: str, token: str) -> KometClient | AxerrioClient:
    if system == "komet":
        komet = KometSettings.model_construct(base_url=url, token_env="T", company_code="MIA", profile=KometProfile())
        return KometClient(komet, token, timeout=2.0, gate=OpenGate())
    axerrio = AxerrioSettings.model_construct(base_url=url, token_env="T", tenant=None)
    return AxerrioClient(axerrio, token, timeout=2.0, gate=OpenGate())


def everything_of(error: BaseException) -> str:
    """What a log, a debugger or a report of an error could show of it and of our objects in its frames."""
    parts: list[str] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None:
            continue
        waiting += [each.__cause__, each.__context__]
        parts += [str(each), repr(each), repr(vars(each)), repr(each.args), *traceback.format_exception(each)]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                ours = (value for value in frame.f_locals.values() if type(value).__module__.startswith(OURS))
                parts += map(repr, ours)
    return "\n".join(parts)


def test_the_hunt_finds_what_it_looks_for() -> None:
    secret = f"{uuid4().hex}/{uuid4().hex}"
    for leak in (
        secret,
        quote(secret, safe=""),
        json.dumps({"a": secret}),
        f"Bearer {secret[:40]}",
        base64.b64encode(f"user:{secret}".encode()).decode(),
        base64.b64encode(f"users:{secret}".encode()).decode(),
        base64.b64encode(f"axkomet:{secret}".encode()).decode(),
    ):
        with pytest.raises(AssertionError):
            assert_absent([secret], [("a log", f"so {leak} it is")])
    assert assert_absent([secret], [("a log", f"so {uuid4().hex} it is {time.time()}")]) == 1
    assert len(traces(secret)) == 8
