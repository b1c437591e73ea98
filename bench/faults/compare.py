"""Comparisons an honest reader makes on emitted rows: one member against the others, now against before.

Counts and medians only; where too few were asked the answer is no.
"""

from __future__ import annotations

from math import comb
from statistics import median

from bench.faults.confound import Emitted, Row
from bench.faults.traffic import Exchange
from bench.faults.world import Endpoint, Member

AROUND_S = 90.0


def fisher(bad: int, of: int, bad_others: int, of_others: int) -> float:
    """P that so many of the bad ones fall on this side by chance (one-sided, hypergeometric)."""
    n, k = of + of_others, bad + bad_others
    total = comb(n, of)
    return sum(comb(k, i) * comb(n - k, of - i) for i in range(bad, min(k, of) + 1)) / total if total else 1.0


def _answered(log: Emitted, ep: int, low: float, high: float) -> list[Row]:
    return [r for r in log.near(ep, low, high) if r.response is not None and r.x.member is not None]


def _failed(r: Row) -> bool:
    return (r.x.status or 500) >= 500


def _alike(x: Exchange, r: Row) -> bool:
    """Failed as this request did."""
    return r.x.status == x.status if x.status and x.status < 500 else _failed(r)


def one_fails(log: Emitted, x: Exchange) -> bool:
    """Its member fails more often than the others, which were asked and answer well."""
    rows = _answered(log, x.ep.index, x.at - AROUND_S, x.at + AROUND_S)
    mine = [_alike(x, r) for r in rows if r.x.member is x.member]
    others = [_alike(x, r) for r in rows if r.x.member is not x.member]
    if len(others) - sum(others) < 3 or sum(others) > 0.25 * len(others):
        return False
    return fisher(sum(mine), len(mine), sum(others), len(others)) <= 0.05


def _same_path(x: Exchange, r: Row) -> bool:
    return r.x.path.split("/")[:3] == x.path.split("/")[:3]


def all_fail(log: Emitted, x: Exchange) -> bool:
    """Every member that was asked (on this path, if only it fails) answers errors alike."""
    rows = _answered(log, x.ep.index, x.at - AROUND_S, x.at + AROUND_S)
    for chosen in (rows, [r for r in rows if _same_path(x, r)]):
        bad = [r for r in chosen if _failed(r)]
        members = {r.x.member.name for r in bad if r.x.member}
        share = 0.4 if len(bad) >= 3 else 0.6
        if len(bad) >= 2 and len(bad) >= share * len(chosen) and (len(members) >= 2 or len(x.ep.members) == 1):
            return True
    return False


def one_slow(log: Emitted, ep: Endpoint, at: float, members: list[Member]) -> bool:
    """These members' answers take far longer than the others' do at that time."""
    rows = _answered(log, ep.index, at - 150, at + 150)
    mine = [r.x.dur for r in rows if r.x.member in members]
    others = [r.x.dur for r in rows if r.x.member not in members]
    if len(mine) < 2 or len(others) < 5:
        return False
    factor = median(mine) / max(median(others), 1e-4)
    return factor >= 2.5 or (factor >= 1.5 and len(mine) >= 8)


def all_slow(log: Emitted, x: Exchange) -> bool:
    """The whole service, or this path of it, takes far longer than before, on every member that was asked."""
    now = _answered(log, x.ep.index, x.at - AROUND_S, x.at + AROUND_S)
    before = _answered(log, x.ep.index, x.at - 1800, x.at - 240)
    for same in (False, True):
        late = [r for r in now if not same or _same_path(x, r)]
        usual = [r.x.dur for r in before if not same or _same_path(x, r)]
        if len(late) < 3 or len(usual) < 5:
            continue
        limit = 1.8 * median(usual)
        slow = [r for r in late if r.x.dur >= limit]
        members = {r.x.member.name for r in slow if r.x.member}
        if len(slow) >= 0.5 * len(late) and (len(members) >= 2 or len(x.ep.members) == 1):
            return True
    return False


def usual(log: Emitted, x: Exchange) -> float | None:
    """The median of earlier answers to this very path; None where fewer than three are known."""
    found = [
        r.x.dur for r in _answered(log, x.ep.index, x.at - 7200, x.at + 600) if r.x.path == x.path and r.x is not x
    ]
    return median(found) if len(found) >= 3 else None


def bigger(log: Emitted, x: Exchange) -> bool:
    """More bytes than this path's answers had before, at about their speed."""
    before = [r.x for r in _answered(log, x.ep.index, x.at - 7200, x.at - 1) if r.x.path == x.path and r.x.bytes]
    if len(before) < 5:
        return False
    size, speed = median(b.bytes for b in before), median(b.dur / b.bytes for b in before)
    return x.bytes >= 2 * size and x.dur / x.bytes <= 1.5 * speed
