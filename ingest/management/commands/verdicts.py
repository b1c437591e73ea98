"""manage.py verdicts: one JSON object a line for every try that has a verdict, sorted by key."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.models import Airflow, Verdict


class Command(BaseCommand):
    help = "Print the verdicts, one JSON object a line, sorted by airflow, dag, run, task, map index and try."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--airflow", help="only this Airflow (a capture's Airflow is named capture/airflow)")
        parser.add_argument("--format", choices=("json",), default="json")

    def handle(self, *args: Any, **options: Any) -> None:
        found = Verdict.objects.select_related(
            "try_row__airflow", "endpoint", "f5_pool", "member", "incident"
        ).prefetch_related("evidence")
        if options["airflow"]:
            found = found.filter(try_row__airflow__in=airflows_named(options["airflow"]))
        key = [
            f"try_row__{name}" for name in ("airflow__name", "dag_id", "run_id", "task_id", "map_index", "try_number")
        ]
        for verdict in found.order_by(*key):
            self.stdout.write(json.dumps(as_json(verdict), ensure_ascii=False))


def airflows_named(name: str) -> list[Airflow]:
    """The Airflow of that name, those of the capture of that name, or those that captures know by that name."""
    by_capture = Airflow.objects.filter(feeds__capture=name).distinct()
    inside = Airflow.objects.filter(name__endswith=f"/{name}")
    named = list(Airflow.objects.filter(name=name)) or list(by_capture) or list(inside)
    if not named:
        known = ", ".join(Airflow.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise CommandError(f"there is no Airflow named {name!r}; known: {known}", returncode=2)
    return named


def as_json(v: Verdict) -> dict[str, Any]:
    """One verdict as DESIGN section 8 lists its fields."""
    t = v.try_row
    return {
        "airflow": t.airflow.name,
        "dag_id": t.dag_id, "run_id": t.run_id, "task_id": t.task_id, "map_index": t.map_index, "try_number": t.try_number,
        "ti_id": str(t.ti_id) if t.ti_id else None,
        "state": t.state, "status": v.status, "waiting_for": v.waiting_for,
        "culprit": v.culprit, "cause": v.cause, "component": v.component, "route_acquitted": v.route_acquitted,
        "confidence": v.confidence,
        "endpoint": v.endpoint.name if v.endpoint else None,
        "f5_pool": v.f5_pool.name if v.f5_pool else None,
        "member": v.member.name if v.member else None,
        "links": v.links,
        "evidence": [{"feed": e.feed, "line_id": e.line_id, "at": instant(e.at), "raw": e.raw} for e in v.evidence.all()],
        "incident": (v.incident.parent_id or v.incident_id) if v.incident else None,
        "sentence": v.sentence,
    }  # fmt: skip


def instant(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
