"""What keeps a worker's memory flat: its threads share one heap."""

import subprocess
import sys

import pytest

#: Threads that allocate at the same time; then glibc tells of its heaps.
_PROGRAM = """
import ctypes, threading
from worker.app import share_one_heap

{begin}
barrier = threading.Barrier(8)
def allocate():
    barrier.wait()
    kept = [bytes(2000) for _ in range(1000)]
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def heaps(begin: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(begin=begin)], capture_output=True, text=True, check=True
    )
    return run.stdout.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_all_threads_share_one_heap() -> None:
    assert heaps("share_one_heap()") == 1
    assert heaps("") > 1, "without it each thread has its own"
