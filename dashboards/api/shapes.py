"""The OpenAPI side of the rows: serializers and examples made from the dataclasses, so that they cannot disagree."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from rest_framework import serializers

from dashboards.plain import names, without_none

SAMPLES: dict[str, Any] = {
    "dag_id": "orders_sync", "task_id": "get_orders", "run_id": "manual__2026-01-31T08:00:00+00:00", "map_index": -1,
    "try_number": 1, "airflow": "lab1", "state": "failed", "culprit": "route", "cause": "member_down",
    "cause_name": "member down", "endpoint": "/Common/vs_orders", "f5_pool": "/Common/pool_orders",
    "member": "/Common/orders1:9000", "airflow_pool": "orders_api", "status": "final", "outcome": "unanswered",
    "link": "header",
    "method": "GET", "path": "/orders", "kind": "member", "layer": "f5", "actor": "admin", "verb": "modify",
    "sort": "-start",
    "ti_id": "01a2029d-4641-7fa3-bee6-2435c20199af", "confidence": 0.95, "sentence": "Route: orders1 was going down.",
    "client": "10.0.0.7", "name": "/Common/vs_orders", "device": "bigip-1", "device_group": "bigip", "raw": "",
}  # fmt: skip
TYPED = {"status": {int: 503}}
SCALARS: dict[Any, type[serializers.Field[Any, Any, Any, Any]]] = {
    str: serializers.CharField,
    int: serializers.IntegerField,
    float: serializers.FloatField,
    bool: serializers.BooleanField,
    datetime: serializers.DateTimeField,
}


@cache
def serializer(kind: type) -> type[serializers.Serializer[Any]]:
    """A serializer class for a dataclass; used to describe, not to render."""
    hints = get_type_hints(kind)
    fields = {name: field(hints[name]) for name in names(kind)}
    return type(f"{kind.__name__}Serializer", (serializers.Serializer,), {**fields, "__doc__": kind.__doc__})


def field(hint: Any) -> serializers.Field[Any, Any, Any, Any]:
    inner = without_none(hint)
    options: dict[str, Any] = {"allow_null": True} if inner is not hint else {}
    if inner in SCALARS:
        return SCALARS[inner](**options)
    if dataclasses.is_dataclass(inner):
        return serializer(inner)(**options)
    if get_origin(inner) is tuple:
        first, *rest = get_args(inner)
        # Pairs and triples of mixed kinds are lists of anything to JSON Schema; like ones are lists of that kind.
        same = rest in ([], [Ellipsis]) or all(part is first for part in rest)
        return serializers.ListField(child=field(first) if same else serializers.JSONField(), **options)
    return serializers.JSONField(**options)


def example(kind: type) -> dict[str, Any]:
    """A row with sample values."""
    hints = get_type_hints(kind)
    return {name: _sample(name, hints[name]) for name in names(kind)}


def _sample(name: str, hint: Any) -> Any:
    inner = without_none(hint)
    if name in SAMPLES and isinstance(SAMPLES[name], inner if isinstance(inner, type) else object) and inner in SCALARS:
        return SAMPLES[name]
    if dataclasses.is_dataclass(inner):
        return example(inner)  # type: ignore[arg-type]
    plain = {str: "", int: 1, float: 1.0, bool: False, datetime: "2026-01-31T08:00:00Z"}
    if inner in plain:
        return TYPED.get(name, {}).get(inner, plain[inner])
    return [] if get_origin(inner) is tuple else {}


def page_serializer(kind: type) -> type[serializers.Serializer[Any]]:
    """One page of a list."""
    return type(
        f"{kind.__name__}ListSerializer",
        (serializers.Serializer,),
        {
            "filter": serializers.CharField(help_text="what was asked, in English"),
            "complete": serializers.CharField(help_text="how far the log data is complete"),
            "complete_to": serializers.DateTimeField(allow_null=True),
            "next": serializers.URLField(allow_null=True, help_text="the next page; also in the Link header"),
            "results": serializers.ListField(child=serializer(kind)()),
        },
    )


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="what is wrong and what to do, in a sentence")
    instance = serializers.CharField()
    parameter = serializers.CharField(required=False, help_text="the query parameter that is wrong")
