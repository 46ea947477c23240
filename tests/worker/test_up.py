"""What `axkomet up` says while it is not ready."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from worker import up
from worker.settings import Settings


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
