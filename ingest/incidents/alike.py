"""Which causes can be one fault, and how near to each other they have to be: data for the grouping (pure).

Merging two faults into one hides one of them from everybody; two incidents for one fault cost a second look. So what is
not named here stays apart, and what names least (a request that nobody answered) joins what names more, never the reverse.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations, product
from typing import NamedTuple

# The same trouble of the same component within ten minutes of its end is the same incident, later it is a new one.
REOPEN = timedelta(minutes=10)
# Two signs of one fault: a monitor with an interval of 5 s and a time-out of 16 s speaks within that time of the first
# failed request, a client with a time-out of 30 s gives up within it.
OVERLAP = timedelta(seconds=60)
# So near in time, the same trouble of two members of one pool is one fault; more would tie chance neighbours together.
TOGETHER = timedelta(seconds=15)

# Of the causes inside one incident, the one that explains the others names it.
STRENGTH = (
    "api_unreachable", "failover", "device_overload", "config_change", "vip_unreachable", "no_member", "monitor_flap",
    "port_exhaustion", "connection_limit", "tls_failure", "waf_block",
    "member_down", "wrong_member", "misroute", "slow_member", "member_grey", "reset_by_server", "idle_timeout", "reset_by_f5",
    "service_failing", "service_slow", "service_refused", "unanswered",
)  # fmt: skip
RANK = {cause: place for place, cause in enumerate(STRENGTH)}
MEMBER_CAUSES = frozenset({"member_down", "wrong_member", "slow_member", "member_grey", "reset_by_server"})
POOL_CAUSES = frozenset({"api_unreachable", "no_member"})
SERVICE_CAUSES = frozenset({"service_failing", "service_slow", "service_refused"})
# Causes that hit the whole device: what several of its pools show of one of them, at one time, has one parent.
DEVICE_CAUSES = ("failover", "device_overload", "config_change")
OF_DEVICE = ("failover", "device_overload")  # a change is one of an object
# What says where something failed and not why: if all of the device is in trouble then, it is a part of that.
SAYS_NOT_WHY = frozenset({"api_unreachable", "unanswered"})


class Alike(NamedTuple):
    """Two causes on one pool that can be one fault."""

    within: timedelta
    same_member: bool = False  # both name the same member


def _pairs() -> dict[frozenset[str], Alike]:
    """By two causes: how near they have to be."""
    table: dict[frozenset[str], Alike] = {}
    # One member in several kinds of trouble: it grows slow, resets, and its monitor takes it out.
    for one, other in combinations(sorted(MEMBER_CAUSES | {"monitor_flap"}), 2):
        table[frozenset({one, other})] = Alike(OVERLAP, same_member=True)
    # Members that go one by one until the pool has none.
    for pool, member in product(POOL_CAUSES, ("member_down", "reset_by_server", "monitor_flap")):
        table[frozenset({pool, member})] = Alike(OVERLAP)
    table[POOL_CAUSES] = Alike(OVERLAP)
    # A service that grows slow before it fails, and one that fails until its monitors take all members out.
    table[frozenset({"service_slow", "service_failing"})] = Alike(TOGETHER)
    for pool, service in product(POOL_CAUSES, ("service_slow", "service_failing")):
        table[frozenset({pool, service})] = Alike(TOGETHER)
    return table


ALIKE = _pairs()
# What a pool without members explains of its members: it is that outage's, not the same trouble as one before or after it.
EXPLAINED = frozenset(cause for pair in ALIKE if pair & POOL_CAUSES for cause in pair) & (
    MEMBER_CAUSES | {"monitor_flap"}
)

# What says only that nobody answered joins the nearest incident of the same pool that names a cause of this table. It
# had reached the virtual server, so one that cannot be reached does not explain it.
WEAK = "unanswered"
JOINS = {
    "no_member": OVERLAP, "api_unreachable": OVERLAP, "member_down": OVERLAP, "reset_by_server": OVERLAP,
    "wrong_member": OVERLAP, "monitor_flap": OVERLAP, "idle_timeout": OVERLAP, "device_overload": OVERLAP,
    "failover": OVERLAP, "service_slow": TOGETHER,
    # A slow or failing member is hit now and then for a long time: near alone says little.
    "member_grey": TOGETHER, "slow_member": TOGETHER,
}  # fmt: skip
# Of these, what nobody answered between two signs that are not long apart is a part as well, however far from both.
LASTING = frozenset({"slow_member", "member_grey", "service_slow"})
