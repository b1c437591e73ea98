"""How often each rule was right on the fault bench: what it claims of itself is drawn towards that.

Written by `python -m bench.faults.calibrate` from the answers to the splits dev and validation, never from held-out ones.
Rules that the bench did not measure keep what their author claims.
"""

from __future__ import annotations

WEIGHT = 20  # so many measured answers weigh as much as the claim

# rule: (right, answers)
MEASURED: dict[str, tuple[int, int]] = {
    "device.answered_by_f5": (37, 37),
    "device.device_overload": (12, 12),
    "device.failover": (2, 2),
    "device.rule_error": (43, 43),
    "device.said_by_f5": (56, 56),
    "members.member_down": (11, 11),
    "members.member_grey": (6, 8),
    "members.monitor_flap": (6, 6),
    "members.no_member": (95, 95),
    "members.reset_by_server": (2, 3),
    "members.slow_member": (14, 15),
    "route.api_unreachable": (17, 17),
    "route.misroute": (53, 53),
    "route.unanswered": (103, 151),
    "service.bad_request": (23, 26),
    "service.service_failing": (199, 200),
    "service.service_refused": (15, 15),
    "service.service_slow": (48, 49),
    "task.data_volume": (6, 6),
    "task.died_in_call": (5, 5),
    "task.heartbeats_silent": (7, 7),
    "task.slot_starvation": (15, 15),
    "task.task_error": (42, 42),
    "task.task_timeout": (11, 11),
    "task.usual_limit": (10, 10),
    "unreached.handshake": (28, 28),
    "unreached.vip_unreachable": (24, 24),
    "unreached.worker_network": (32, 33),
}


def drawn(rule: str, claimed: float) -> float:
    """The claim, drawn towards what was measured."""
    right, answers = MEASURED.get(rule, (0, 0))
    return round((right + WEIGHT * claimed) / (answers + WEIGHT), 3)
