"""The program that rsyslog's omprog starts (airf5.conf): `python write.py SPOOL UDP_PORT QUEUE`, see ingest/relayed.py."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ingest.relayed import Relay

if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    Relay(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])).run(sys.stdin.buffer, sys.stdout.buffer)
