"""Find the UUIDs that Airflow has forgotten: REST shows only the newest try's, the calls of an older one show its own.

A UUID belongs to the try whose start and end lie nearest to its first and last call, where each is the other's nearest
and nothing else comes close. `ti_id_from` says "history" of it, and an answer of REST or of a log replaces it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Max, Min

from airf5.sql import load
from ingest.models import Airflow, Try
from ingest.store.names import scoped_key
from ingest.store.tries import JUDGED, KEY_FIELDS, bind, bind_keys, scope_of

# Siblings of a mapped task start and end together: a neighbour as near as this leaves it open whose UUID it is.
APART_S = 0.02

Pair = tuple[str, int, float]


def bind_forgotten(airflow: Airflow) -> int:
    """Bind what can be bound of this Airflow's tries that wait for judgement; how many were."""
    nameless = Try.objects.filter(airflow=airflow, judge=True, ti_id=None, state__in=JUDGED, start_at__isnull=False)
    nameless = nameless.exclude(log_state=Try.LogState.WANTED)  # the log says it for certain
    span = nameless.aggregate(first=Min("start_at"), last=Max("end_at"))
    if airflow.api != "v2" or span["first"] is None or span["last"] is None:
        return 0
    parameters = {
        "airflow": airflow.pk,
        "scope": scoped_key(scope_of(airflow), ""),
        "from": span["first"] - timedelta(hours=1),
        "to": span["last"] + timedelta(seconds=10),
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(load("forgotten_uuids"), parameters)
            chosen = choose(cursor.fetchall())
        rows = Try.objects.in_bulk(chosen.values())
        for uuid, try_id in chosen.items():
            bind(rows[try_id], uuid, "history")
        Try.objects.bulk_update(rows.values(), ["ti_id", "ti_id_from"])
        bind_keys(airflow, Try.objects.filter(pk__in=rows).values_list(*KEY_FIELDS))
    return len(chosen)


def choose(pairs: Iterable[Pair]) -> dict[str, int]:
    """The pairs in which each is nearest to the other, and clearly so; what they leave over is chosen from again."""
    chosen: dict[str, int] = {}
    left = list(pairs)
    while sure := _sure(left):
        chosen |= sure
        taken = set(sure.values())
        left = [pair for pair in left if pair[0] not in sure and pair[1] not in taken]
    return chosen


def _sure(pairs: Iterable[Pair]) -> dict[str, int]:
    of_uuid: dict[str, list[tuple[float, int]]] = defaultdict(list)
    of_try: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for uuid, try_id, off in pairs:
        of_uuid[uuid].append((off, try_id))
        of_try[try_id].append((off, uuid))
    sure = {}
    for uuid, tries in of_uuid.items():
        off, try_id = min(tries)
        rivals = [other for other, _ in (*sorted(tries)[1:2], *sorted(of_try[try_id])[1:2])]
        if min(of_try[try_id])[1] == uuid and all(other - off > APART_S for other in rivals):
            sure[uuid] = try_id
    return sure
