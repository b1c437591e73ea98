"""The points between two durable steps, in groups: one round arms a group, and every point of it has to be hit."""

from __future__ import annotations

from typing import NamedTuple


class Group(NamedTuple):
    """Points that one round can reach."""

    name: str
    points: tuple[str, ...]


POINTS = (
    Group(
        "receiver and push",
        ("receive.created", "receive.written", "receive.synced", "push.created", "push.written", "push.synced"),
    ),
    Group(
        "chunk of a spool file",
        ("chunk.read", "chunk.stored", "chunk.counted", "chunk.moved", "chunk.fenced", "chunk.committed"),
    ),
    Group("rows, halves, lease", ("requests.copied", "halves.kept", "lease.taken", "lease.used")),
    Group("page of Airflow", ("page.stored", "page.fenced", "page.committed", "judge.saved")),
    Group(
        "halves and judging",
        ("halves.expired", "halves.forgotten", "correlate.expired", "correlate.judged", "incidents.saved"),
    ),
    Group("rejects, read again", ("rejects.stored", "rejects.moved", "rejects.deleted", "rejects.committed")),
)
ALL = tuple(point for group in POINTS for point in group.points)
