"""manage.py incidents: one JSON object a line, in order of start."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ingest.management.commands.verdicts import instant
from ingest.models import Incident


class Command(BaseCommand):
    help = "Print the incidents, one JSON object a line, in order of start."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=("json",), default="json")

    def handle(self, *args: Any, **options: Any) -> None:
        found = Incident.objects.filter(merged_into=None).select_related("endpoint", "f5_pool")
        for i in found.order_by("start", "pk"):
            self.stdout.write(json.dumps(as_json(i), ensure_ascii=False))


def as_json(i: Incident) -> dict[str, Any]:
    return {
        "id": i.pk, "fingerprint": i.fingerprint, "culprit": i.culprit, "cause": i.cause, "component": i.component,
        "endpoint": i.endpoint.name if i.endpoint else None, "f5_pool": i.f5_pool.name if i.f5_pool else None,
        "members": i.members, "start": instant(i.start), "end": instant(i.end), "state": "closed" if i.end else "open",
        "tries": i.tries, "capture": i.capture,
        "parent": i.parent_id, "onset": i.onset, "first_hit": instant(i.first_hit_at), "noticed": instant(i.noticed_at),
        "ending": i.ending, "reach": i.reach, "messages": i.messages, "withdrawn": instant(i.withdrawn_at),
    }  # fmt: skip
