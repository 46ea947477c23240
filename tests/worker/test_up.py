"""What `axkomet up` says while it is not ready."""

from pathlib import Path
from unittest.mock import Mock

import flower.options  # noqa: F401 - it defines them
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tornado.options import options

from worker import app, up
from worker.services import free_port
from worker.settings import ServiceUrls, Settings


def test_why_it_is_not_ready_is_told_once_and_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "_READY_PAUSE", 0.0)
    settings = Settings(home=tmp_path, connections=tmp_path / "connections.toml")
    started: list[str] = []
    ready = up._Ready(settings, lambda: started.append("watchers"))
    with capture_logs() as told:
        ready.tick()
        assert told == [], "most of it is about to be"
        monkeypatch.setattr(up, "_TOLD_AFTER", 0.0)
        for _ in range(2):
            ready.tick()
        settings.connections.write_text("[")
        for _ in range(2):
            ready.tick()
    assert [each["event"] for each in told] == ["not ready"] * 2
    assert "There is no connections file" in told[0]["problems"][0]
    assert "not valid TOML" in told[1]["problems"][0]
    assert started == []


@pytest.mark.parametrize("password", [None, "of mine"])
def test_flower_without_a_password_makes_one_and_says_it(
    password: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "make_app", Mock())
    monkeypatch.setattr(options.mockable(), "basic_auth", [])
    secret = SecretStr(password) if password else None
    settings = Settings(flower_user="ann", flower_password=secret, flower_port=free_port())
    app.run_flower(settings, ServiceUrls("", ""))
    (access,) = options.basic_auth
    user, _, word = access.partition(":")
    assert user == "ann"
    said = capsys.readouterr().err
    if password:
        assert (word, said) == (password, "")
    else:
        assert len(word) >= 12
        assert said == f"Flower: http://127.0.0.1:{settings.flower_port} user ann password {word}\n"
