"""Members as iControl tells them, a whole device at once: what is new is made together, what differs changed by groups."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ingest.models import Device, Member
from ingest.records import MemberState
from ingest.store import members

AT_ONCE = 1_000


def save(device: Device, states: Iterable[MemberState], at: datetime, *, with_states: bool) -> int:
    """Make members that are new; the number of those, and `with_states` of those whose state or session differs.

    A member that the request log knows by its address alone, or that has no address yet, goes the careful way of
    `members.find`, one by one: those are few.
    """
    states = list(states)
    names = members.Names(device.group_id)
    names.need_pools({state.f5_pool for state in states})
    rows = list(Member.objects.filter(f5_pool__group=device.group_id))
    named = {(row.f5_pool_id, row.name): row for row in rows}
    nameless = {row.f5_pool_id for row in rows if not row.name.startswith("/")}
    fresh: list[Member] = []
    careful: list[MemberState] = []
    changed: dict[tuple[str, str], list[int]] = {}
    for state in states:
        pool = names.pools.get(state.f5_pool)
        if pool is None:
            continue
        row, told = named.get((pool, state.member[:300])), (state.state[:20], state.session[:20])
        if (row is None and pool in nameless) or (row is not None and state.address and not row.address):
            careful.append(state)
        elif row is None:
            fresh.append(_member(pool, state, told if with_states else ("", "")))
            named[(pool, state.member[:300])] = fresh[-1]
        elif with_states and row.pk and (row.state, row.session) != told:
            changed.setdefault(told, []).append(row.pk)
    Member.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=AT_ONCE)
    count = len(fresh)
    for (state_now, session), keys in changed.items():
        # One that is removed is there again when a list says so: these numbers may be older than the list
        newer = Member.objects.filter(pk__in=keys, removed_at=None).exclude(since__gt=at)
        count += newer.update(state=state_now, session=session)
    return count + sum(_carefully(names.pools[state.f5_pool], state, at, with_states) for state in careful)


def _member(pool_id: int, state: MemberState, told: tuple[str, str]) -> Member:
    address, port = members.address_of(state.member)
    return Member(
        f5_pool_id=pool_id, name=state.member[:300], address=(state.address or address)[:64],
        port=state.port if state.port is not None else port, state=told[0], session=told[1],
    )  # fmt: skip


def _carefully(pool_id: int, state: MemberState, at: datetime, with_states: bool) -> bool:
    if with_states:
        return members.save_state(pool_id, state, at)
    members.find(pool_id, state.member, state.address, state.port)
    return True
