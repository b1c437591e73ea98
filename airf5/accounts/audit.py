"""Record who did what in airf5 itself: one row of UserAction, called in plain sight and never by a signal."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from django.utils import timezone

from .models import UserAction


def fingerprint(*parts: object) -> str:
    """The natural key of an action: the same fact gives the same value, whoever brings it."""
    text = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    actor: str,
    verb: str,
    target: str = "",
    detail: dict[str, Any] | None = None,
    layer: str = UserAction.Layer.AIRF5,
    *,
    result: str = "ok",
    address: str = "",
    tool: str = "",
    dag_id: str = "",
) -> UserAction:
    """Add one action. Call it in the transaction of the change itself, so that neither exists without the other."""
    at, deed = timezone.now(), uuid.uuid4().hex  # each deed is a fact of its own, even twice in one microsecond
    return UserAction.objects.create(
        layer=layer,
        source="airf5" if layer == UserAction.Layer.AIRF5 else "",
        at=at,
        actor=actor[:250],
        verb=verb[:80],
        target=target[:500],
        detail=detail or {},
        result=result[:60],
        address=address[:64],
        tool=tool[:60],
        dag_id=dag_id[:250],
        external_id=deed,
        fingerprint=fingerprint(layer, "airf5", deed),
    )
