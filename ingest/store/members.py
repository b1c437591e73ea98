"""Pools and members by name: made on first sight, one with what the request log knows by address, kept up to date."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime

from ingest import records
from ingest.models import Endpoint, F5Pool, HealthEvent, Member, Verdict

SESSIONS = frozenset({"enabled", "disabled", "forced_disabled", "user_disabled", "user_enabled"})


class Names:
    """The ids of the pools, members and virtual servers of one device group that a batch speaks of."""

    def __init__(self, group_id: int) -> None:
        self.group_id = group_id
        self.pools: dict[str, int] = {}
        self.members: dict[tuple[str, str], int] = {}
        self.endpoints: dict[str, int] = {}

    def need_pools(self, names: set[str]) -> None:
        """Load these pools, new ones are made."""
        F5Pool.objects.bulk_create(
            [F5Pool(group_id=self.group_id, name=name[:300]) for name in sorted(names)], ignore_conflicts=True
        )
        cut = {name: name[:300] for name in names}
        found = F5Pool.objects.filter(group_id=self.group_id, name__in=set(cut.values())).values_list("name", "id")
        ids = dict(found)
        self.pools |= {name: ids[short] for name, short in cut.items() if short in ids}

    def need_members(self, names: set[tuple[str, str]]) -> None:
        """Load these members of pools that are loaded, new ones are made."""
        for pool, name in sorted(names):
            self.members[(pool, name)] = find(self.pools[pool], name)

    def load_endpoints(self, names: set[str]) -> None:
        """Load these virtual servers; a name alone makes none."""
        found = Endpoint.objects.filter(group_id=self.group_id, name__in=names).values_list("name", "id")
        self.endpoints |= dict(found)


def address_of(name: str) -> tuple[str, int | None]:
    """The address and port that a member's name holds: /Common/10.0.0.5:9000, /Common/2001:db8::5.80."""
    host, port = name.rpartition("/")[2], ""
    for sign in (":", "."):
        head, found, tail = host.rpartition(sign)
        if found and tail.isascii() and tail.isdigit() and len(tail) < 6 and not (sign == ":" and ":" in head):
            host, port = head, tail
            break
    try:
        return str(ipaddress.ip_address(host.partition("%")[0])), int(port) if port else None
    except ValueError:
        return "", int(port) if port else None


def find(pool_id: int, name: str, address: str = "", port: int | None = None) -> int:
    """The id of the member with this full name; one that is known by its address so far gets the name."""
    name = name[:300]
    found = Member.objects.filter(f5_pool_id=pool_id, name=name).first()
    known_address, known_port = address_of(name)
    address, port = address or known_address, port if port is not None else known_port
    if found is not None:
        if address and (found.address, found.port) != (address, port):
            return _learn_address(found, address, port)
        return int(found.pk)
    if address:
        unnamed = Member.objects.filter(f5_pool_id=pool_id, address=address, port=port).exclude(name__startswith="/")
        row = unnamed.first()
        if row is not None:
            Member.objects.filter(pk=row.pk).update(name=name)
            return int(row.pk)
    row, _ = Member.objects.get_or_create(
        f5_pool_id=pool_id, name=name, defaults={"address": address[:64], "port": port}
    )
    return int(row.pk)


def _learn_address(named: Member, address: str, port: int | None) -> int:
    """The address of a member that was known by its name alone; the request log may know it by its address already.

    Requests carry the id of the row with the address, and there may be millions of them: that row takes the name over.
    """
    same = Member.objects.filter(f5_pool_id=named.f5_pool_id, address=address, port=port)
    by_address = same.exclude(name__startswith="/").exclude(pk=named.pk).first()
    if by_address is None:
        Member.objects.filter(pk=named.pk).update(address=address[:64], port=port)
        return int(named.pk)
    HealthEvent.objects.filter(member=named).update(member=by_address)
    Verdict.objects.filter(member=named).update(member=by_address)
    kept = {column: getattr(named, column) for column in ("name", "state", "session", "since", "removed_at")}
    named.delete()
    Member.objects.filter(pk=by_address.pk).update(**kept)
    return int(by_address.pk)


def save_state(pool_id: int, state: records.MemberState, at: datetime) -> bool:
    """A member as iControl shows it; True where that is news."""
    member = Member.objects.get(pk=find(pool_id, state.member, state.address, state.port))
    if member.removed_at or (member.since and member.since > at):
        return False
    if (member.state, member.session) == (state.state[:20], state.session[:20]):
        return False
    Member.objects.filter(pk=member.pk).update(state=state.state[:20], session=state.session[:20], since=member.since)
    return True


def follow(events: Iterable[HealthEvent]) -> None:
    """Bring the members' state up to what these events say; older news than the known is passed over."""
    latest: dict[tuple[int, str], HealthEvent] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.kind == "member" and event.member_id:
            is_session = event.state in SESSIONS or event.detail.get("status_of") == "session"
            latest[(event.member_id, "session" if is_session else "state")] = event
    for (member_id, what), event in latest.items():
        newer = Member.objects.filter(pk=member_id).exclude(since__gt=event.at)
        newer.update(**{what: event.state[:20], "since": event.at, "removed_at": None})
