"""Pools, members, monitors and virtual servers as a folder of iControl REST answers shows them.

The folder holds `pool.json`, `pool_members_stats.json`, `virtual.json` and `clock.json`, as GET /mgmt/tm/ltm/pool
(expanded), /pool/members/stats, /virtual and /sys/clock answer them; a capture has one, and a script can write one. It
may also hold the other answers that iControl REST is asked for, named like the readings of `f5_rest`: `policy.json`,
`rule.json`, `request_log.json`, `certificate.json`, `user.json`, `monitor_http.json` …
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.sources.f5_rest import READINGS
from ingest.sources.http import SourceRefused, SourceUnavailable

NAMES = ("pool", "pool_members_stats", "virtual", "clock")
ALREADY = ("pool", "member_stats", "virtual", "clock", "virtual_stats")
MORE = tuple(reading.name for reading in READINGS if reading.name not in ALREADY)
LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answers by name, and a digest of their bytes: the same digest says nothing new."""

    answers: dict[str, Any]
    digest: str


def read(folder: str) -> Snapshot:
    """The snapshot in this folder; SourceRefused or SourceUnavailable say in words why there is none."""
    place = Path(folder)
    if not folder or not place.is_dir():
        raise SourceUnavailable(f"There is no folder {folder or '(none given)'} with iControl answers.")
    answers: dict[str, Any] = {}
    digest = hashlib.sha256()
    for name in (*NAMES, *MORE):
        file = place / f"{name.replace('/', '_')}.json"
        if not file.is_file():
            continue
        if file.stat().st_size > LARGEST:
            raise SourceRefused(f"{file.name} is larger than {LARGEST // 1024 // 1024} MiB.")
        content = file.read_bytes()
        digest.update(name.encode() + content)
        answers[name] = _parsed(file, content)
    if "pool" not in answers and "virtual" not in answers:
        raise SourceUnavailable(f"{place.name} holds neither pool.json nor virtual.json.")
    return Snapshot(answers, digest.hexdigest())


def _parsed(file: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise SourceUnavailable(f"{file.name} is no whole JSON document yet: {error}.") from None
