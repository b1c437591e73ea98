"""How often each rule was right on the fault bench: what it claims of itself is drawn towards that.

Written by `python -m bench.faults.calibrate` from the answers to the splits dev and validation, never from held-out ones.
Rules that the bench did not measure keep what their author claims.
"""

from __future__ import annotations

WEIGHT = 20  # so many measured answers weigh as much as the claim

# rule: (right, answers)
MEASURED: dict[str, tuple[int, int]] = {
    "device.answered_by_f5": (46, 46),
    "device.config_change": (60, 60),
    "device.device_overload": (29, 29),
    "device.failover": (5, 9),
    "device.rule_error": (25, 25),
    "device.said_by_f5": (193, 197),
    "members.answered_for_none": (58, 58),
    "members.member_down": (28, 28),
    "members.member_grey": (38, 42),
    "members.monitor_flap": (34, 35),
    "members.no_member": (109, 109),
    "members.reset_by_server": (3, 3),
    "members.slow_member": (79, 80),
    "route.api_unreachable": (21, 21),
    "route.idle_timeout": (29, 29),
    "route.misroute": (177, 177),
    "route.unanswered": (183, 197),
    "service.bad_request": (69, 69),
    "service.service_failing": (286, 294),
    "service.service_refused": (40, 40),
    "service.service_slow": (143, 144),
    "task.data_volume": (22, 22),
    "task.died_in_call": (5, 5),
    "task.heartbeats_silent": (11, 11),
    "task.slot_starvation": (283, 284),
    "task.task_error": (151, 151),
    "task.task_timeout": (38, 38),
    "task.usual_limit": (35, 37),
    "task.worker_killed": (21, 21),
    "unreached.failover": (7, 7),
    "unreached.handshake": (74, 74),
    "unreached.vip_unreachable": (88, 88),
    "unreached.worker_network": (107, 107),
}


def drawn(rule: str, claimed: float) -> float:
    """The claim, drawn towards what was measured."""
    right, answers = MEASURED.get(rule, (0, 0))
    return round((right + WEIGHT * claimed) / (answers + WEIGHT), 3)
