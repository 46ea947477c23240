"""Pace of requests, shared by all threads and machines through Redis."""

import threading
import time
from typing import Any

import redis

from clients.errors import NoTurn

#: Nobody sleeps longer than this many seconds for his turn: he who would holds a thread that others could use.
MOST_PATIENCE = 5.0

#: Redis is not asked again for so many seconds after it did not answer: each request would wait for it in vain.
_ALONE_SECONDS = 5.0

#: Reserves the next free slot (generic cell rate, no burst) unless it lies too far ahead. Times are microseconds
#: of Redis's own clock. The key ends by itself, so that a clock set back cannot hold the pace up for ever.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, patience = tonumber(ARGV[1]), tonumber(ARGV[2])
local slot = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
if slot - now > patience then return {0, slot - now} end
local ends = slot + interval
redis.call('SET', KEYS[1], string.format('%.0f', ends), 'PX', math.ceil((ends - now) / 1000) + 1000)
return {1, slot - now}
"""


class Pacer:
    """Spreads requests evenly: one each `1 / per_second` seconds for all who share `key`.

    While Redis is away each process keeps the same pace for itself.
    """

    def __init__(self, redis: redis.Redis, key: str, per_second: float, system: str) -> None:
        if not per_second > 0:
            raise ValueError("per_second must be above 0")
        self._reserve: Any = redis.register_script(_RESERVE)
        self._key = key
        self._interval = 1 / per_second
        self._system = system
        self._lock = threading.Lock()
        self._next = self._alone_until = 0.0

    def wait(self, operation: str, patience: float) -> None:
        """Sleep until this request's turn, at most `patience` seconds and at most `MOST_PATIENCE`.

        Raises:
            NoTurn: its turn comes later; no slot was taken.
        """
        patience = min(patience, MOST_PATIENCE)
        granted, seconds = self._slot(patience)
        if not granted:
            detail = f"its turn comes in {seconds:.1f} s, later than {patience:g} s"
            raise NoTurn(self._system, operation, detail, seconds)
        time.sleep(seconds)

    def _slot(self, patience: float) -> tuple[bool, float]:
        if time.monotonic() < self._alone_until:
            return self._own_slot(patience)
        micro = [int(self._interval * 1e6), int(patience * 1e6)]
        try:
            granted, wait = self._reserve(keys=[self._key], args=micro)
        except redis.RedisError:
            self._alone_until = time.monotonic() + _ALONE_SECONDS
            return self._own_slot(patience)
        return bool(granted), int(wait) / 1e6

    def _own_slot(self, patience: float) -> tuple[bool, float]:
        with self._lock:
            now = time.monotonic()
            slot = max(self._next, now)
            granted = slot - now <= patience
            if granted:
                self._next = slot + self._interval
            return granted, slot - now
