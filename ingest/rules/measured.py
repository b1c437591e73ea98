"""How often each rule was right on the fault bench: what it claims of itself is drawn towards that.

Written by `python -m bench.faults.calibrate` from the answers to the splits dev and validation, never from held-out ones.
Rules that the bench did not measure keep what their author claims.
"""

from __future__ import annotations

WEIGHT = 20  # so many measured answers weigh as much as the claim

# rule: (right, answers)
MEASURED: dict[str, tuple[int, int]] = {
    "device.answered_by_f5": (126, 126),
    "device.config_change": (142, 142),
    "device.device_overload": (146, 148),
    "device.failover": (5, 5),
    "device.reset_by_peer": (27, 27),
    "device.rule_error": (51, 51),
    "device.said_by_f5": (373, 375),
    "members.answered_for_none": (81, 81),
    "members.member_down": (54, 54),
    "members.member_grey": (108, 112),
    "members.monitor_flap": (83, 84),
    "members.no_member": (193, 193),
    "members.reset_by_server": (3, 3),
    "members.slow_member": (148, 151),
    "route.api_unreachable": (68, 68),
    "route.idle_timeout": (77, 77),
    "route.misroute": (365, 365),
    "route.unanswered": (398, 423),
    "service.bad_request": (88, 88),
    "service.service_failing": (369, 380),
    "service.service_refused": (86, 86),
    "service.service_slow": (337, 341),
    "task.data_volume": (49, 50),
    "task.died_in_call": (7, 7),
    "task.heartbeats_silent": (17, 17),
    "task.scheduler_down": (3, 3),
    "task.slot_starvation": (487, 487),
    "task.task_error": (331, 331),
    "task.task_timeout": (67, 67),
    "task.usual_limit": (106, 106),
    "task.worker_killed": (56, 56),
    "unreached.failover": (8, 8),
    "unreached.handshake": (231, 231),
    "unreached.vip_unreachable": (310, 310),
    "unreached.worker_network": (226, 226),
}


def drawn(rule: str, claimed: float) -> float:
    """The claim, drawn towards what was measured."""
    right, answers = MEASURED.get(rule, (0, 0))
    return round((right + WEIGHT * claimed) / (answers + WEIGHT), 3)
