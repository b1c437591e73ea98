"""What a network engineer pastes on a BIG-IP so that airf5 sees it, and how to undo it (pure: text in, text out).

`PARTS` names every part; `manage.py f5config` prints one. Nothing here talks to a device.
"""

from __future__ import annotations

from .parts import PARTS, Part
from .plan import Plan, PlanRefused
from .template import request_template, response_template

__all__ = ["PARTS", "Part", "Plan", "PlanRefused", "request_template", "response_template"]
