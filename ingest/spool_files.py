"""Files below the spool folder that are read to their end and older than the requests that are kept: removed.

What is unread stays, however old it is, and so does everything outside of the spool folder: that is not ours.
"""

from __future__ import annotations

import logging
import os
import stat
from datetime import datetime
from pathlib import Path

from django.conf import settings

from ingest import partitions
from ingest.models import SpoolFile

log = logging.getLogger(__name__)


def expire(now: datetime) -> int:
    """Remove them, and what is known of files that are gone; how many files."""
    before = now - partitions.retention("requests")
    root = Path(settings.AIRF5_SPOOL_DIR).resolve()
    removed = 0
    for row in SpoolFile.objects.filter(first_seen_at__lt=before, feed__capture="").iterator():
        path = Path(row.path)
        if root not in path.resolve().parents:
            continue
        try:
            if not _is_over(row, path.lstat(), before):
                continue
            path.unlink()
            removed += 1
        except FileNotFoundError:
            pass  # removed by somebody, or by a run that was killed here: a known file that is gone is forgotten
        except OSError as error:
            log.warning("%s cannot be removed: %s", path, error)
            continue
        row.delete()
    return removed


def _is_over(row: SpoolFile, facts: os.stat_result, before: datetime) -> bool:
    """Whether this is the file that was read, nobody writes it, and nothing of it is unread."""
    if not stat.S_ISREG(facts.st_mode) or facts.st_ino != row.inode or facts.st_mtime >= before.timestamp():
        return False
    return row.finished or (not row.path.endswith(".gz") and facts.st_size <= row.offset)
