"""Which pools new requests went to: contracts are learned, and what breaks one is a finding at its first request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from airf5.accounts.models import UserAction
from ingest.correlate import load
from ingest.correlate.routes import is_about
from ingest.correlate.world import choosers_of
from ingest.models import Endpoint, F5Pool, RouteFinding
from ingest.rules.compare import short
from ingest.rules.contracts import LEARNED, family_of, prefix_of, says
from ingest.rules.facts import Chooser
from ingest.rules.route import CHANGE_BEFORE, chosen_by

from . import noting, reading
from .learn import Broken, Seen, broken, by_host, endpoints_of, learn

QUIET = timedelta(minutes=10)  # without a request that breaks it, it is over
MISROUTE, OPEN, OVER = RouteFinding.Kind.MISROUTE, RouteFinding.State.OPEN, RouteFinding.State.OVER


def look(endpoints: Mapping[int, Endpoint], lo: datetime, hi: datetime, now: datetime) -> None:
    """Requests of these endpoints between these times."""
    seen = reading.seen(endpoints, lo, hi)
    known = noting.known_contracts(endpoints_of(seen))
    seen = _with_hosts(seen, endpoints)
    bad = broken(known, seen)
    if bad:
        _note(bad, endpoints, now)
    learned = {one.key: one for one in known if one.source == LEARNED}
    # Of a mixture of hosts nothing is learned: a host that is new would seem to break what is usual of the others
    learn(learned, [one for one in seen if one.host or not endpoints[one.endpoint_id].hosts])
    noting.save_contracts(learned)
    _end(endpoints, hi)


def _with_hosts(seen: Sequence[Seen], endpoints: Mapping[int, Endpoint]) -> list[Seen]:
    """Where several hosts lead to a virtual server, the host is read from the lines themselves."""
    several = {pk for pk, endpoint in endpoints.items() if len(endpoint.hosts) > 1}
    wanted = [line for one in seen if one.endpoint_id in several for line in one.lines]
    hosts = reading.hosts(wanted) if wanted else {}
    only = {pk: "".join(endpoint.hosts) or None for pk, endpoint in endpoints.items() if pk not in several}
    return [
        by_host(one, hosts) if one.endpoint_id in several else one._replace(host=only[one.endpoint_id]) for one in seen
    ]


def _note(bad: Sequence[Broken], endpoints: Mapping[int, Endpoint], now: datetime) -> None:
    """Findings begin, or go on."""
    choosers = choosers_of([endpoints[one.seen.endpoint_id] for one in bad])
    by_finding: dict[tuple[int, int, str], list[Broken]] = defaultdict(list)
    for one in bad:
        by_finding[one.seen.endpoint_id, one.contract.id, one.seen.f5_pool].append(one)
    pools = {
        (pool.group_id, pool.name): pool.pk
        for pool in F5Pool.objects.filter(name__in={one.seen.f5_pool for one in bad})
    }
    for (endpoint_id, contract_id, name), some in sorted(by_finding.items()):
        endpoint = endpoints[endpoint_id]
        pool = pools.get((endpoint.group_id, name))
        count, last = sum(one.seen.answered for one in some), max(one.seen.last for one in some)
        finding = noting.same(MISROUTE, endpoint_id, some[0].seen.first, f5_pool=pool, contract=contract_id)
        if finding is None:
            noting.begin(_new(some, endpoint, pool, choosers.get(endpoint_id, ()), now))
            continue
        finding.count, finding.requests = finding.count + count, finding.requests + count
        finding.until, finding.state = max(finding.until, last), OPEN
        finding.save(update_fields=["count", "requests", "until", "state"])


def _new(
    some: Sequence[Broken], endpoint: Endpoint, pool: int | None, choosers: Sequence[Chooser], now: datetime
) -> RouteFinding:
    first, contract = some[0].seen, some[0].contract
    count = sum(one.seen.answered for one in some)
    usual = " or ".join(sorted(short(name) for name in contract.expects(first.first)))
    well = sum(one.seen.well for one in some)
    reasons = [
        (True, says(contract, first.first)),
        *([(True, f"It was learned from {contract.count:,} requests.")] if contract.source == LEARNED else []),
        (True, f"{count:,} requests for {prefix_of(first.path)} of {family_of(first.agent) or 'a client without a name'} "
               f"went to {short(first.f5_pool)}, the first at {first.first:%H:%M:%S}."),
        *((True, text) for text in chosen_by(choosers, first.f5_pool)),
        *_configured(endpoint, first),
        *_changes(endpoint, first.first),
        *([(False, f"{well:,} of them were answered below 400.")] if well else []),
    ]  # fmt: skip
    _, member = reading.member_of(first.lines[0], first.first)
    return RouteFinding(
        kind=MISROUTE, endpoint=endpoint, f5_pool_id=pool, member_id=member, contract_id=contract.id, at=first.first,
        until=max(one.seen.last for one in some), noticed_at=now, line_id=first.lines[0], count=count, requests=count,
        sentence=f"{short(endpoint.name)} sent {prefix_of(first.path)} to {short(first.f5_pool)}; its contract says {usual}.",
        reasons=noting.told(reasons),
    )  # fmt: skip


def _configured(endpoint: Endpoint, first: Seen) -> list[tuple[bool, str]]:
    own = endpoint.f5_pool.name if endpoint.f5_pool else ""
    if own != first.f5_pool:
        return []
    return [(False, f"{short(own)} is the virtual server's own pool, as far as airf5 knows: it may be meant so.")]


def _changes(endpoint: Endpoint, at: datetime) -> list[tuple[bool, str]]:
    """What people changed on this object just before."""
    devices = endpoint.group.devices.values("name")
    found = UserAction.objects.filter(~Q(verb__startswith="log"), layer="f5", source__in=devices, at__lte=at)
    changes = [load.change(one) for one in found.filter(at__gt=at - CHANGE_BEFORE).order_by("-at", "-id")[:200]]
    mine = [one for one in changes if is_about(one, endpoint)][:2]
    return [(True, f"{one.actor} changed {one.target} at {one.at:%H:%M:%S}.") for one in mine]


def _end(endpoints: Mapping[int, Endpoint], hi: datetime) -> None:
    """What no request broke for a while is over."""
    found = RouteFinding.objects.filter(endpoint__in=list(endpoints), kind=MISROUTE, state=OPEN)
    found.filter(until__lt=hi - QUIET).update(state=OVER)
