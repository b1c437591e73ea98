"""Ten bugs that the suite has to catch: a suite that never caught one proves nothing.

Each is a branch of a line or two behind `airf5.failpoints.planted`. A bug is caught when its round, which passes
without it, ends with lines lost, twice or altered.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.chaos import rounds
from tests.chaos.points import Group
from tests.chaos.world import World


class Bug(NamedTuple):
    """A bug, and the round that should see it."""

    name: str
    what: str
    round: rounds.Round


def _at(*points: str) -> rounds.Round:
    def run(world: World) -> None:
        rounds.at_points(world, Group("planted", points))

    return run


def _replay(world: World) -> None:
    rounds.read_again(world, ("rejects.committed",))


def _plain(world: World) -> None:
    feeding = rounds.Feeding.of(world)
    feeding.on(4.0)
    feeding.close()


BUGS = (
    Bug("answer-before-sync", "a push is answered before it is on the disk", rounds.power_cut_web),
    Bug("cursor-apart", "the cursor moves in a transaction of its own", _at("chunk.committed")),
    Bug("no-fence", "the epoch of the lease is not checked", rounds.zombie),
    Bug("a-line-too-far", "the offset stands one line behind the last one stored", _plain),
    Bug("half-forgotten", "a waiting half is not kept", _plain),
    Bug("pushed-twice", "a batch that comes again is not recognised", _plain),
    Bug("no-overlap", "Airflow is asked from the very moment of the last pull", rounds.late_rows),
    Bug("short-read", "the end of what could be read is taken for the end of a line", rounds.pieces),
    Bug("rotation-is-new", "a file with another inode is a new one", rounds.rotation),
    Bug("replay-apart", "rejects leave in a transaction of their own", _replay),
)
