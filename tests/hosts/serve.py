"""What runs on a host: `python -m tests.hosts.serve services|sandbox ADDRESS FOLDER`, until its input ends.

The product's own listen on loopback only, and that stays so: here their module is told another address.
"""

import json
import sys
from pathlib import Path

import sandbox.server
import worker.services
from worker.services import EmbeddedPostgres, EmbeddedValkey


def main(what: str, address: str, folder: Path) -> None:
    """Serve, and tell the addresses in one line of JSON."""
    if what == "sandbox":
        sandbox.server.HOST = address
        sandbox.server.run(0, 0)
        return
    worker.services.LOOPBACK = address
    access = folder / "hba.conf"
    access.write_text("host all all 0.0.0.0/0 scram-sha-256\n")
    postgres = EmbeddedPostgres(folder, {"listen_addresses": address, "hba_file": str(access)})
    valkey = EmbeddedValkey(folder)
    try:
        print(json.dumps({"database_url": postgres.start(), "redis_url": valkey.start()}), flush=True)  # noqa: T201
        sys.stdin.read()
    finally:
        valkey.stop()
        postgres.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
