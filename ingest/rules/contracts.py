"""To which pools a path may go: what a contract covers, what it expects, and which requests break it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

MOST_PREFIX, MOST_AGENT, SEGMENTS = 200, 60, 2
LEARNED, DECLARED = "learned", "declared"
_FAMILY = re.compile(r"[^/\s(;,]+")


@dataclass(frozen=True, slots=True)
class Contract:
    """Requests of this host ("": any), path and kind of client ("": any) go to these pools of one virtual server."""

    id: int
    source: str  # learned | declared
    host: str
    prefix: str
    agent: str
    count: int  # requests it was learned from
    ready_at: datetime  # from when on it counts
    pools: tuple[tuple[str, datetime], ...]  # (name, from when on it is expected)
    by: str = ""  # who declared it

    def expects(self, at: datetime) -> frozenset[str]:
        """The pools that a request may go to at this time."""
        return frozenset(name for name, since in self.pools if since <= at)


def prefix_of(path: str) -> str:
    """What a path is learned under: its first two segments that are no placeholders ({id}, {uuid}, …)."""
    kept: list[str] = []
    for segment in path.partition("?")[0].split("/")[1:]:
        if not segment or "{" in segment or len(kept) == SEGMENTS:
            break
        kept.append(segment)
    return f"/{'/'.join(kept)}"[:MOST_PREFIX]


def family_of(agent: str) -> str:
    """The kind of client a User-Agent names: "python-requests/2.31" and "python-requests/2.32" are one."""
    found = _FAMILY.search(agent)
    return found[0][:MOST_AGENT] if found else ""


def covers(contract: Contract, path: str, agent: str | None = None, host: str | None = None) -> bool:
    """Whether this contract speaks of such requests. None: not known, and then it is not asked."""
    if contract.source == LEARNED:
        if contract.prefix != prefix_of(path):
            return False
    elif contract.prefix != "/" and path != contract.prefix and not path.startswith(contract.prefix.rstrip("/") + "/"):
        return False
    if agent is not None and contract.agent and contract.agent != family_of(agent):
        return False
    return host is None or not contract.host or contract.host == host.lower()


def that_count(
    contracts: Iterable[Contract], path: str, at: datetime, agent: str | None = None, host: str | None = None
) -> list[Contract]:
    """The contracts that decide of a request: the declared ones of the longest prefix, without such the learned ones."""
    found = [c for c in contracts if c.ready_at <= at and covers(c, path, agent, host)]
    declared = [c for c in found if c.source == DECLARED]
    longest = max((len(c.prefix) for c in declared), default=0)
    chosen = [c for c in declared if len(c.prefix) == longest] or found
    return sorted(chosen, key=lambda c: (c.ready_at, c.id))  # not by counts, which grow: the answer is to stay the same


def broken_by(
    contracts: Sequence[Contract],
    f5_pool: str,
    path: str,
    at: datetime,
    agent: str | None = None,
    host: str | None = None,
) -> Contract | None:
    """The contract that a request broke: none of those that decide expects its pool."""
    chosen = that_count(contracts, path, at, agent, host)
    if not f5_pool or not chosen or any(f5_pool in c.expects(at) for c in chosen):
        return None
    return chosen[0] if chosen[0].expects(at) else None


def says(contract: Contract, at: datetime) -> str:
    """The contract in words, with how it is known."""
    names = " or ".join(sorted(name.rsplit("/", 1)[-1] for name in contract.expects(at)))
    who = f" of {contract.agent}" if contract.agent else ""
    where = f"{contract.host}{contract.prefix}"
    known = (
        f"declared by {contract.by or 'a person'} on {contract.ready_at:%-d %b %Y}"
        if contract.source == DECLARED
        else f"learned from requests that went well, in force since {contract.ready_at:%-d %b %Y %H:%M}"
    )
    return f"Contract {contract.id} sends {where}{who} to {names}: {known}."
