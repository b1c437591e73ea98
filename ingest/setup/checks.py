"""Checks that a person asks for: written down with their user action, done by a worker, and their outcome kept.

A worker does them and not the web server, for only the worker is sure to have the secrets that references name and the
way to the sources. Celery carries the hint; a check that no worker took is found again by the beat.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from airf5.accounts import audit
from ingest import doctor
from ingest.doctor import loop_back
from ingest.doctor.findings import FAIL, Finding
from ingest.models import Airflow, Check, Device, Feed
from ingest.setup.source_fields import address as check_address

VERBS = {
    Check.Kind.PROBE: "test_connection",
    Check.Kind.LOOP_BACK: "test_loop_back",
    Check.Kind.DOCTOR: "ask_doctor",
}
STUCK = timedelta(minutes=4)  # a worker that was killed with it: it is done again
TOO_OLD = timedelta(minutes=15)
KEEP = timedelta(days=30)
LONGEST_WAIT_S = 120.0
TASK, HINT_S = "ingest.tasks.do_check", 600

log = logging.getLogger(__name__)


class CheckRefused(ValueError):
    """The check cannot be asked for; the sentence says why."""


@transaction.atomic
def ask(
    kind: str, actor: str, *, airflow: Airflow | None = None, device: Device | None = None, through: str = ""
) -> Check:
    """Write down that this check is wanted, and hint a worker to it once that is committed."""
    if kind == Check.Kind.LOOP_BACK:
        _feed_of(airflow.name if airflow else "")
        _check_through(through)
    details = {"through": through} if through else {}
    row = Check.objects.create(
        kind=kind, airflow=airflow, device=device, asked_at=timezone.now(), asked_by=actor[:150], details=details
    )
    target = airflow.name if airflow else device.name if device else "airf5"
    audit.record(actor, VERBS[Check.Kind(kind)], target, details)
    transaction.on_commit(lambda: _hint(row.pk))
    return row


def do(check_id: int, wait: Callable[[float], None] = time.sleep) -> bool:
    """Do this check unless another worker has it, or did it; whether it was done here. `wait` passes so many seconds."""
    now = timezone.now()
    free = Check.objects.filter(pk=check_id, finished_at=None, started_at=None)
    stuck = Check.objects.filter(pk=check_id, finished_at=None, started_at__lt=now - STUCK)
    if not (free.update(started_at=now) or stuck.update(started_at=now)):
        return False
    row = Check.objects.select_related("airflow", "device").get(pk=check_id)
    told: list[dict[str, object]] = []
    try:
        for one in _found(row, wait):
            told.append(one.told())
            Check.objects.filter(pk=check_id).update(outcome=told)  # the page shows each hop as it is seen
    except SoftTimeLimitExceeded:
        told.append(
            Finding(FAIL, "time", "It did not get through in time.", "Mend what was found so far first.").told()
        )
    except Exception:  # the edge of one task: whoever waits for it is told that nothing more comes
        log.exception("Check %d failed", check_id)
        sentence = "It ended by an error of airf5's own."
        told.append(Finding(FAIL, "airf5", sentence, "See the worker's log, and report what it says.").told())
    Check.objects.filter(pk=check_id).update(outcome=told, finished_at=timezone.now())
    return True


def waiting() -> list[int]:
    """Checks that no worker has taken, or that one died with."""
    now = timezone.now()
    asked = Check.objects.filter(finished_at=None, asked_at__gt=now - TOO_OLD)
    return [pk for pk, at in asked.values_list("pk", "started_at") if at is None or at < now - STUCK]


def forget_old() -> None:
    """Drop what nobody looks at any more."""
    Check.objects.filter(asked_at__lt=timezone.now() - KEEP).delete()


def follow(airflow: str, through: str, wait_s: float, actor: str) -> Iterator[Finding]:
    """The loop-back test of the Airflow with this name, hop by hop, here and now."""
    feed = _feed_of(airflow)
    _check_through(through)
    audit.record(actor, VERBS[Check.Kind.LOOP_BACK], airflow, {"through": through} if through else {})
    return loop_back.run(feed, through, wait_s=min(max(wait_s, 1.0), LONGEST_WAIT_S))


def _found(row: Check, wait: Callable[[float], None]) -> Iterator[Finding]:
    if row.kind == Check.Kind.DOCTOR:
        yield from doctor.examine(timezone.now())
    elif row.kind == Check.Kind.LOOP_BACK and row.airflow is not None:
        try:
            through = str(row.details.get("through") or "")
            yield from loop_back.run(_feed_of(row.airflow.name), through, sleep=wait)
        except CheckRefused as error:
            yield Finding(FAIL, row.airflow.name, str(error))
    elif row.airflow is not None:
        yield from doctor.of_airflow(row.airflow.pk)
    elif row.device is not None:
        yield from doctor.of_device(row.device.pk, timezone.now())


def _feed_of(airflow: str) -> Feed:
    found = (
        Feed.objects.filter(airflow__name=airflow, kind=Feed.Kind.AIRFLOW_API, capture="")
        .select_related("airflow")
        .first()
    )
    if found is None:
        known = Airflow.objects.filter(feeds__kind=Feed.Kind.AIRFLOW_API, feeds__capture="").order_by("name").distinct()
        names = ", ".join(known.values_list("name", flat=True))
        raise CheckRefused(
            f"No Airflow named {airflow!r} is read. " + (f"There is {names}." if names else "There is none.")
        )
    return found


def _check_through(through: str) -> None:
    if through and (problem := check_address(through)):
        raise CheckRefused(f"The address through F5 {problem}.")


def _hint(check_id: int) -> None:
    with contextlib.suppress(OperationalError):  # without a broker the beat finds it, once there is one
        current_app.send_task(TASK, (check_id,), retry=False, expires=HINT_S)
