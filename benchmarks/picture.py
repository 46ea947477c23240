"""`python -m benchmarks.picture`: plays the demo, and keeps its last screen as `docs/demo.svg`."""

import io
import os
import re
import subprocess

from rich.console import Console
from rich.text import Text

from worker.reference import DOCS
from worker.supervisor import axkomet_command

_WIDTH = 100
#: With it the screen that moves begins each picture anew.
_ERASE = "\x1b[2K"


def main() -> None:
    """Play, and write the picture.

    Raises:
        CalledProcessError: the demo did not end well.
    """
    env = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(_WIDTH), "LINES": "24"}
    demo = subprocess.run(axkomet_command("demo"), env=env, stdout=subprocess.PIPE, text=True, check=True)
    last = demo.stdout.rpartition(_ERASE)[2]
    console = Console(record=True, width=_WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(last.strip("\n")))
    # With the reader's own letters: none are fetched from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="axkomet demo"), flags=re.DOTALL)
    (DOCS / "demo.svg").write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
