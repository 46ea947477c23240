"""`python -m worker` is `axkomet`."""

from worker.cli import main

main()
