"""The fault kinds of the bench as data: what each is, whose fault, and which cause a verdict must name for it.

`untold` is the honest answer where the line that would tell the cause was not logged; the oracle decides try by try.
Codes are those of `manage.py verdicts`. The table in docs/faultbench.md is tested to equal this one.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUTE, SERVICE, TASK, UNKNOWN = "route", "service", "task", "unknown"
CULPRIT = {
    "service_failing": SERVICE, "service_slow": SERVICE, "service_refused": SERVICE,
    "task_error": TASK, "bad_request": TASK, "task_timeout": TASK, "worker_killed": TASK, "slot_starvation": TASK,
    "scheduler_down": TASK, "execution_conflict": TASK, "data_volume": TASK, "worker_network": TASK,
    "no_data": UNKNOWN, "no_f5_path": UNKNOWN, "undecided": UNKNOWN,
}  # fmt: skip
NOT_TOLD = ("undecided", "no_data", "no_f5_path")


def culprit(cause: str) -> str:
    """Whose fault a cause is; all that is not listed is the route's."""
    return CULPRIT.get(cause, ROUTE)


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    name: str
    cause: str  # what a verdict must say when the logs tell it
    accepted: tuple[str, ...]  # other causes that are as right
    untold: str  # what is right when the telling line is missing
    component: str  # kind of the component at fault
    twin: str  # the kind that looks most like it

    @property
    def culprit(self) -> str:
        return culprit(self.cause) if self.cause else ""


def _kind(code: str, name: str, cause: str, accepted: str, untold: str, component: str, twin: str) -> Kind:
    return Kind(code, name, cause, tuple(accepted.split()), untold, component, twin)


_ROWS = (
    _kind("N1", "one member down, and noticed", "member_down", "member_grey reset_by_server", "unanswered", "member", "A5"),
    _kind("N2", "one member fails while its monitor passes", "member_grey", "", "undecided", "member", "A6"),
    _kind("N3", "all members down or disabled", "no_member", "member_down reset_by_server", "unanswered", "f5_pool", "A5"),
    _kind("N4", "one member slow", "slow_member", "member_grey", "unanswered", "member", "A10"),
    _kind("N5", "the BIG-IP resets by itself", "reset_by_f5", "", "unanswered", "virtual_server", "A6"),
    _kind("N6", "burst of 5xx from one member", "member_grey", "", "undecided", "member", "A5"),
    _kind("N7", "TCP reset by a member or on the client's side", "reset_by_server", "", "unanswered", "member", "A3"),
    _kind("N8", "idle time-out cuts long requests", "idle_timeout", "", "unanswered", "virtual_server", "A8"),
    _kind("N9", "TLS handshake fails", "tls_failure", "", "undecided", "virtual_server", "A11"),
    _kind("N10", "misroute to another pool", "misroute", "config_change", "undecided", "virtual_server", "A6"),
    _kind("N11", "virtual server not to be reached", "vip_unreachable", "", "undecided", "virtual_server", "A11"),
    _kind("N12", "monitor flaps", "monitor_flap", "member_down reset_by_server", "unanswered", "member", "A5"),
    _kind("N13", "failover to the other unit", "failover", "", "unanswered", "device", "A7"),
    _kind("N14", "a configuration change breaks the route", "config_change", "reset_by_f5", "unanswered", "virtual_server", "A2"),
    _kind("N15", "source ports, connections or rate exhausted", "port_exhaustion", "", "unanswered", "virtual_server", "A4"),
    _kind("N16", "packet loss", "unanswered", "undecided", "undecided", "path", "A14"),
    _kind("N17", "added delay on the path", "service_slow", "", "undecided", "path", "A9"),
    _kind("N18", "blocked by the WAF", "waf_block", "reset_by_f5", "undecided", "virtual_server", "A6"),
    _kind("N19", "large bodies vanish (MTU)", "unanswered", "", "undecided", "path", "A9"),
    _kind("N20", "the device is out of CPU or memory", "device_overload", "", "unanswered", "device", "A10"),
    _kind("A1", "bug in the task's code", "task_error", "", "task_error", "code", "N2"),
    _kind("A2", "bad or missing data", "task_error", "", "task_error", "code", "N14"),
    _kind("A3", "worker process killed", "worker_killed", "", "undecided", "worker", "N7"),
    _kind("A4", "no executor or pool slot", "slot_starvation", "", "undecided", "slot_pool", "N15"),
    _kind("A5", "the service answers 5xx on all members", "service_failing", "", "undecided", "service", "N3"),
    _kind("A6", "4xx to the caller", "service_refused", "bad_request", "undecided", "caller", "N10"),
    _kind("A7", "scheduler down", "scheduler_down", "", "undecided", "scheduler", "N13"),
    _kind("A8", "time-out set too low, latency normal", "task_timeout", "", "undecided", "caller", "N8"),
    _kind("A9", "more data than usual", "data_volume", "", "undecided", "code", "N17"),
    _kind("A10", "the service is slow on all members", "service_slow", "", "undecided", "service", "N4"),
    _kind("A11", "name resolution or proxy of one worker", "worker_network", "", "undecided", "worker", "N11"),
    _kind("A12", "a third party behind the service fails", "service_failing", "service_slow", "undecided", "service", "N6"),
    _kind("A13", "own deadline or sensor time-out without any HTTP", "task_timeout", "", "undecided", "code", "N8"),
    _kind("A14", "network of one worker host", "worker_network", "", "undecided", "worker", "N16"),
    _kind("H1", "healthy: deployments, backfills, bursts", "", "", "", "", ""),
)  # fmt: skip
KINDS = {kind.code: kind for kind in _ROWS}

# What no tuned split holds: two kinds, and one variant of a kind.
UNSEEN = ("N19", "A12", "N1:node")
