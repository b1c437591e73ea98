"""Loaded by every process of a chaos run: notes how much of each file was synced, for the cut of the power to know."""

import os

_place = os.environ.get("AIRF5_CHAOS", "")
if _place:

    def _noting(sync):  # type: ignore[no-untyped-def]
        def noting(fd):  # type: ignore[no-untyped-def]
            size = os.fstat(fd).st_size  # before: what is written meanwhile may not be covered
            sync(fd)
            path = os.readlink(f"/proc/self/fd/{fd if isinstance(fd, int) else fd.fileno()}")
            if "/spool/" in path and path.endswith(".log"):
                with open(f"{_place}/synced", "a") as notes:
                    notes.write(f"{size} {path}\n")

        return noting

    os.fsync, os.fdatasync = _noting(os.fsync), _noting(os.fdatasync)
