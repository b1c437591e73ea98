"""What a person changes, through one door: each change and its user action are one transaction."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.db import transaction
from django.utils import timezone

from airf5.accounts import audit
from airf5.failpoints import planted
from ingest import leases
from ingest.completeness import rejects
from ingest.models import (
    Airflow,
    Device,
    DeviceGroup,
    Endpoint,
    Feed,
    Incident,
    IncidentNote,
    Request,
    RequestDetail,
    RequestHour,
    RequestMinute,
    Review,
    Verdict,
)
from ingest.rules.causes import CAUSES
from ingest.setup import source_secrets, templates

LONGEST_NOTE = 10_000
DROPPED = "dropped"  # in the config of a feed that its entry has no more: not one that is stopped for a while
LONGEST_COMPONENT = 300
# What a review keeps of the verdict it is about.
ANSWER = (
    "status", "slow", "culprit", "cause", "component_kind", "component", "sentence", "route_acquitted", "confidence",
    "rule", "rule_version",
)  # fmt: skip
AIRFLOWS = (Feed.Kind.AIRFLOW_API, Feed.Kind.AIRFLOW_DB)
ABOUT_DEVICE = ("hostname", "utc_offset_s", "makes_own_errors", "logs_requests")
SPOOLED = {
    Feed.Kind.F5_REQUEST: "request",
    Feed.Kind.F5_LTM: "ltm",
    Feed.Kind.F5_AUDIT: "audit",
}


class Refused(ValueError):
    """What was asked cannot be done; the sentence says why."""


@transaction.atomic
def configure_source(
    kind: str,
    name: str,
    airflow: str | None,
    device: str | None,
    config: dict[str, Any],
    actor: str,
    secrets: Mapping[str, str] = MappingProxyType({}),
    stopped: bool = False,
) -> Feed:
    """Create or change one feed, with the Airflow or the device it belongs to; it is read from then on, unless `stopped`.

    `secrets` are the texts to seal for the fields that `config` gives as `sealed:` (ingest/setup/source_secrets.py).

    `config` of an Airflow: base_url, api, auth, username, password or token (as env:NAME or file:/path), poll_s, options;
    of its database: database (where its address stands), poll_s, options.
    Of an F5 log: glob (a pattern or several), and of a request log: template (a text or several). Of a snapshot:
    folder. Of iControl REST: base_url, username, password, verify, allow, calls_per_minute. Of what Telemetry
    Streaming pushes: glob, and token (where the token it shows stands) unless one is made with
    `ingest.push.tokens`. And of their device: group, hostname, utc_offset_s, makes_own_errors, logs_requests.
    """
    if kind not in (*AIRFLOWS, Feed.Kind.F5_ICONTROL, Feed.Kind.F5_REST, Feed.Kind.F5_TELEMETRY, *SPOOLED):
        raise Refused(f"{kind} is no kind of source that can be configured.")
    old = Feed.objects.select_for_update().filter(name=name).first()
    if old is not None and old.kind != kind:
        raise Refused(f"{name} is another kind of source already.")
    told, config = config, dict(config)
    sides: dict[str, Any] = {}
    try:
        source_secrets.check(old, config, secrets)
    except source_secrets.SecretRefused as error:
        raise Refused(str(error)) from error
    if kind in AIRFLOWS:
        url = {"url": str(config["base_url"])[:300]} if config.get("base_url") else {}
        sides["airflow"], _ = Airflow.objects.update_or_create(name=airflow or name, defaults=url)
    else:
        _check_template(kind, config)
        sides["device"] = _device(device or name, config)
    known = {"kind": kind, "config": config, "enabled": not stopped, "next_at": None, "failures": 0, **sides}
    feed, created = Feed.objects.update_or_create(name=name, defaults=known)
    source_secrets.keep(feed, secrets, actor)
    verb = "create_source" if created else "change_source"
    given = {"secrets": sorted(secrets)} if secrets else {}
    audit.record(actor, verb, name, {"kind": kind, "config": told, **given})  # references and names, never values
    return feed


def is_configured(kind: str, name: str, airflow: str | None, device: str | None, config: dict[str, Any]) -> bool:
    """Whether `configure_source` with these arguments would change nothing."""
    feed = Feed.objects.select_related("airflow", "device__group").filter(name=name, kind=kind).first()
    if feed is None:
        return False
    config = dict(config)
    if kind in AIRFLOWS:
        return feed.config == config and feed.airflow is not None and feed.airflow.name == (airflow or name)
    found, group = feed.device, str(config.pop("group", "") or device or name)
    about = {key: config.pop(key) for key in ABOUT_DEVICE if key in config}
    if found is None or (found.name, found.group.name) != (device or name, group):
        return False
    return feed.config == config and all(getattr(found, key) == value for key, value in about.items())


def device_sources(name: str, spool: str, about: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(kind, name, config) of the three feeds of a device whose logs the receiver writes below the folder `spool`."""
    about = dict(about)
    template = about.pop("template", None)
    found = []
    for kind, stem in SPOOLED.items():
        config = {"glob": [f"{glob.escape(spool)}/{stem}*.log*"], **about}
        found.append(
            (kind, f"{name}/{stem}", config | ({"template": template} if template and stem == "request" else {}))
        )
    return found


def configure_device(name: str, spool: str, actor: str, **about: Any) -> list[Feed]:
    """The three feeds of a device whose logs the receiver writes below the folder `spool`."""
    return [
        configure_source(kind, feed, None, name, config, actor)
        for kind, feed, config in device_sources(name, spool, about)
    ]


def _check_template(kind: str, config: dict[str, Any]) -> None:
    try:
        if templates.of(config) and kind != Feed.Kind.F5_REQUEST:
            raise Refused("Only a request log has a template.")
    except templates.TemplateRefused as error:
        raise Refused(str(error)) from error


def _device(name: str, config: dict[str, Any]) -> Device:
    group, _ = DeviceGroup.objects.get_or_create(name=str(config.pop("group", "") or name)[:100])
    about = {key: config.pop(key) for key in ABOUT_DEVICE if key in config}
    device, _ = Device.objects.update_or_create(name=name, defaults={"group": group, **about})
    return device


@transaction.atomic
def drop_source(feed: Feed, actor: str) -> None:
    """Stop a feed that its entry has no more, and forget its secrets; what it read stays."""
    source_secrets.forget(feed)
    Feed.objects.filter(pk=feed.pk).update(config={**feed.config, DROPPED: True})
    set_source_enabled(feed.name, False, actor)


@transaction.atomic
def set_source_enabled(name: str, enabled: bool, actor: str) -> None:
    """Stop or resume reading a feed; what is stored stays."""
    if not Feed.objects.filter(name=name).update(enabled=enabled, next_at=None):
        raise Refused(f"There is no source {name}.")
    audit.record(actor, "enable_source" if enabled else "disable_source", name)


@transaction.atomic
def acknowledge_incident(incident_id: int, actor: str) -> Incident:
    """Say that somebody looks after this incident; the first one stays."""
    incident = _incident(incident_id)
    if not incident.acknowledged_at:
        incident.acknowledged_by, incident.acknowledged_at = actor[:150], timezone.now()
        incident.save(update_fields=["acknowledged_by", "acknowledged_at"])
        audit.record(actor, "acknowledge_incident", f"incident {incident.pk}", {"fingerprint": incident.fingerprint})
    return incident


@transaction.atomic
def add_note(incident_id: int, text: str, actor: str) -> IncidentNote:
    """Add a person's words to an incident."""
    text = text.replace("\x00", "").strip()
    if not text:
        raise Refused("A note needs some words.")
    if len(text) > LONGEST_NOTE:
        raise Refused(f"A note has at most {LONGEST_NOTE} characters.")
    incident = _incident(incident_id)
    note = IncidentNote.objects.create(incident=incident, at=timezone.now(), author=actor[:150], text=text)
    audit.record(actor, "add_note", f"incident {incident.pk}", {"note": note.pk, "text": text})
    return note


def _incident(incident_id: int) -> Incident:
    incident = Incident.objects.select_for_update().filter(pk=incident_id).first()
    if incident is None:
        raise Refused(f"There is no incident {incident_id}.")
    return incident


@transaction.atomic
def review_verdict(
    try_id: int,
    says: str,
    actor: str,
    *,
    culprit: str = "",
    cause: str = "",
    component: str = "",
    words: str = "",
    seen: str = "",
    address: str = "",
) -> Review:
    """Confirm a try's verdict, or overturn it and say what was right instead: a culprit, a cause or a component.

    `seen` is the answer as the person read it (`seen_as`): one that changed meanwhile is not reviewed. A person has
    one word on a try; the one they gave before is withdrawn.
    """
    verdict = Verdict.objects.select_for_update(of=("self",)).select_related("try_row").filter(try_row=try_id).first()
    if verdict is None:
        raise Refused("This try has no verdict that could be reviewed.")
    if seen and seen != seen_as(verdict):
        raise Refused("The verdict changed while you looked at it; read it again.")
    said = {"says": says, "culprit": "", "cause": "", "component": "", "words": _text(words, LONGEST_NOTE)}
    if says == Review.Says.OVERTURNED:
        said |= _instead(verdict, culprit, cause, _text(component, LONGEST_COMPONENT))
    elif says != Review.Says.CONFIRMED:
        raise Refused("A verdict is confirmed or overturned.")
    elif culprit or cause or component:
        raise Refused("Who confirms a verdict names nothing else; overturn it to say what was right instead.")
    about = {name: getattr(verdict, name) for name in ANSWER}
    mine = Review.objects.filter(try_row=try_id, author=actor[:150], withdrawn_at=None).first()
    if mine is not None:
        if mine.answer == about and all(getattr(mine, name) == value for name, value in said.items()):
            return mine  # said twice, as by a second click
        _withdraw(mine, actor)
    made = Review.objects.create(try_row_id=try_id, author=actor[:150], at=timezone.now(), answer=about, **said)
    verb = "confirm_verdict" if says == Review.Says.CONFIRMED else "overturn_verdict"
    detail = {"review": made.pk, "about": about, **{name: value for name, value in said.items() if value}}
    audit.record(actor, verb, f"try {try_id}", detail, address=address, dag_id=verdict.try_row.dag_id)
    return made


@transaction.atomic
def withdraw_review(try_id: int, review_id: int, actor: str, address: str = "") -> Review:
    """Take back a review of one's own; it is kept and no longer counts."""
    found = Review.objects.select_for_update(of=("self",)).select_related("try_row")
    review = found.filter(pk=review_id, try_row=try_id).first()
    if review is None:
        raise Refused("There is no such review of this try.")
    if review.author != actor[:150]:
        raise Refused(f"This is the word of {review.author}; say yours beside it.")
    if review.withdrawn_at is None:
        _withdraw(review, actor)
        detail = {"review": review.pk, "says": review.says}
        audit.record(actor, "withdraw_review", f"try {try_id}", detail, address=address, dag_id=review.try_row.dag_id)
    return review


def seen_as(verdict: Verdict) -> str:
    """A verdict's answer as one word or two, by which a change of it is noticed."""
    return f"{verdict.cause} {verdict.component}".strip()


def _withdraw(review: Review, actor: str) -> None:
    review.withdrawn_at, review.withdrawn_by = timezone.now(), actor[:150]
    review.save(update_fields=["withdrawn_at", "withdrawn_by"])


def _instead(verdict: Verdict, culprit: str, cause: str, component: str) -> dict[str, str]:
    """What was right instead, checked against the table of causes and against the verdict itself."""
    if cause and cause not in CAUSES:
        raise Refused("There is no such cause; see the table of causes.")
    culprit = culprit or (CAUSES[cause].culprit if cause else verdict.culprit if component else "")
    if not culprit:
        raise Refused("Say what was right instead: another culprit, cause or component.")
    if culprit not in {known.culprit for known in CAUSES.values()}:
        raise Refused("A culprit is route, service, task or unknown.")
    if cause and CAUSES[cause].culprit != culprit:
        raise Refused(f"{CAUSES[cause].name} is a cause of {CAUSES[cause].culprit}, not of {culprit}.")
    said = Review(says=Review.Says.OVERTURNED, culprit=culprit, cause=cause, component=component)
    if said.agrees_with(verdict.culprit, verdict.cause, verdict.component):
        raise Refused("That is what the verdict says: confirm it, or name another culprit, cause or component.")
    return {"culprit": culprit, "cause": cause, "component": component}


def _text(text: str, longest: int) -> str:
    text = text.replace("\x00", "").strip()
    if len(text) > longest:
        raise Refused(f"That is {len(text):,} characters; at most {longest:,} are kept.")
    return text


@transaction.atomic
def forget_capture(name: str, actor: str) -> None:
    """Remove a replayed capture with all that was read and judged of it."""
    feeds = list(Feed.objects.filter(capture=name).select_related("airflow", "device__group"))
    if not name or not feeds:
        raise Refused(f"There is no capture named {name}.")
    groups = {feed.device.group for feed in feeds if feed.device}
    endpoints = list(Endpoint.objects.filter(group__in=groups).values_list("pk", flat=True))
    Incident.objects.filter(capture=name).delete()
    for big in (Request, RequestDetail, RequestMinute, RequestHour):
        big.objects.filter(endpoint_id__in=endpoints).delete()
    for row in (*feeds, *{feed.airflow for feed in feeds if feed.airflow}, *groups):
        row.delete()
    audit.record(actor, "forget_capture", name)


def forget_captures(beginning: str, before: datetime, actor: str) -> None:
    """Remove the replayed captures whose names begin like this and that ended before this moment."""
    old = Feed.objects.filter(capture__startswith=beginning, complete_to__lt=before)
    for name in sorted(set(old.values_list("capture", flat=True))):
        forget_capture(name, actor)


def route_failed_since(moment: datetime) -> bool:
    """Whether a try that ended since then was failed by its route: whether there is something to act on."""
    return Verdict.objects.filter(try_row__end_at__gte=moment, culprit="route").exists()


def replay_rejects(feed_id: int, actor: str, reason: str = "", address: str = "") -> rejects.Replayed:
    """Read the unreadable lines of a feed again, those with this reason or all; each becomes what it is, once."""
    feed = Feed.objects.select_related("airflow", "device__group").filter(pk=feed_id).first()
    if feed is None:
        raise Refused("There is no such source.")
    with nullcontext() if planted("replay-apart") else transaction.atomic():
        # The lease is given back by itself if this is undone, so that the record and the deed are one
        try:
            told = rejects.replay(feed, reason)
        except (rejects.Busy, leases.LeaseLost) as error:
            raise Refused(f"{feed.name} is being read just now; ask again in a minute.") from error
        detail = {
            "reason": reason,
            **{name: getattr(told, name) for name in ("read", "rows", "halves", "repeated", "still")},
        }
        audit.record(actor, "replay_rejects", feed.name, detail, address=address)
    return told
