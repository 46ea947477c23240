"""The proxy of the compose file, in front of a Flower on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.services import free_port, port_taken

CADDYFILE = Path(__file__).parents[2] / "ops" / "Caddyfile"


@contextmanager
def proxy(folder: Path, flower_port: int, **env: str) -> Iterator[tuple[str, str]]:
    """Its addresses while it runs: of plain HTTP, and of HTTPS, which it speaks where `FLOWER_SITE` says so.

    Its ports and Flower's address are those of containers, and are replaced.
    """
    plain, secure = free_port(), free_port()
    text = CADDYFILE.read_text()
    for theirs, ours in (("8080", plain), ("8443", secure), ("flower:5555", f"127.0.0.1:{flower_port}")):
        assert theirs in text
        text = text.replace(theirs, str(ours))
    file = folder / "Caddyfile"
    file.write_text(text)
    caddy_program = str(Path(sys.executable).with_name("caddy"))
    command = [caddy_program, "run", "--adapter", "caddyfile", "--config", str(file)]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)} | env
    with (folder / "caddy.log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as caddy:
        try:
            while not port_taken(plain):
                assert caddy.poll() is None, (folder / "caddy.log").read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{plain}", f"https://localhost:{secure}"
        finally:
            caddy.terminate()
