"""How often something may happen: a bucket that fills by the second, one for each name, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MOST_NAMES = 10_000


class Rate:
    """At most `each_s` a second, and `burst` at once. Names beyond MOST_NAMES push the longest unused ones out."""

    def __init__(self, each_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.each_s, self.burst = each_s, burst
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """0 where it may happen now, else after how many seconds."""
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(name, (self.burst, now))
            left = min(self.burst, left + (now - at) * self.each_s)
            wait = 0.0 if left >= 1 else (1 - left) / self.each_s
            self._left[name] = (left if wait else left - 1, now)
            if len(self._left) > MOST_NAMES:
                self._left.pop(next(iter(self._left)))
        return wait

    def clear(self) -> None:
        """Forget all names."""
        with self._lock:
            self._left.clear()
