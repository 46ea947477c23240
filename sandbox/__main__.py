"""Command line of the sandbox: `python -m sandbox --komet-port 0 --axerrio-port 0`."""

import argparse

from sandbox.server import run


def main() -> None:
    """Read the two ports and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="sandbox", description="A simulated Komet and a simulated Axerrio.")
    parser.add_argument("--komet-port", type=int, default=8801, help="0 picks a free port")
    parser.add_argument("--axerrio-port", type=int, default=8802, help="0 picks a free port")
    arguments = parser.parse_args()
    run(arguments.komet_port, arguments.axerrio_port)


if __name__ == "__main__":
    main()
