"""How fast and how well endpoints answered in the newest minutes; what is not as usual is a finding, dated by its requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ingest import histogram
from ingest.models import Endpoint, Member, RouteBaseline, RouteFinding
from ingest.rules.compare import short

from . import noting, reading, series, usual
from .chance import onset
from .reading import MinuteRow, Stretch
from .series import Alarm, Series, floor, minute_of

__all__ = ["floor", "look"]

NEW_USUAL = timedelta(hours=6)  # so old what is called usual may be
MOST_MADE = 40  # made again in one turn: each reads four weeks of hours
LATENCY, ERRORS = RouteFinding.Kind.LATENCY, RouteFinding.Kind.ERRORS
OPEN, OVER = RouteFinding.State.OPEN, RouteFinding.State.OVER
STEP = timedelta(minutes=1)


def look(endpoints: Mapping[int, Endpoint], lo: datetime, hi: datetime, now: datetime) -> None:
    """The whole minutes of these endpoints between these times."""
    found = reading.minutes(endpoints, lo, hi)
    open_now = {(f.endpoint_id, f.kind): f for f in noting.open_findings(endpoints, LATENCY, ERRORS)}
    asked = sorted(set(found) | {endpoint for endpoint, _ in open_now})
    kept = {b.endpoint_id: b for b in RouteBaseline.objects.filter(endpoint__in=asked)}
    _make_usual([endpoints[pk] for pk in found], kept, lo, now)
    stretches = reading.stretches(asked, lo - timedelta(hours=1), hi)
    changed = []
    for pk in asked:
        baseline = kept.get(pk)
        known = usual.Usual.of(baseline.usual) if baseline else None
        if baseline is None or known is None:
            continue
        one = Series.of(known, baseline.recent, baseline.spread)
        _Watched(endpoints[pk], one, open_now, stretches[pk], now).through(found.get(pk, []), hi)
        baseline.recent, baseline.spread = one.plain()
        changed.append(baseline)
    RouteBaseline.objects.bulk_update(changed, ["recent", "spread"], batch_size=200)


def _make_usual(endpoints: Iterable[Endpoint], kept: dict[int, RouteBaseline], at: datetime, now: datetime) -> None:
    """Say again what is usual of some endpoints, those first of which it was said longest ago."""
    old = [e for e in endpoints if e.pk not in kept or kept[e.pk].made_at < now - NEW_USUAL]
    old.sort(key=lambda e: (e.pk in kept, kept[e.pk].made_at if e.pk in kept else now, e.pk))
    for endpoint in old[:MOST_MADE]:
        hour = at.replace(minute=0, second=0, microsecond=0)
        baseline = kept.get(endpoint.pk)
        bounds = tuple(baseline.usual.get("bounds", ())) if baseline else ()
        made = usual.made_of(reading.hours(endpoint.pk, hour - usual.WEEKS, hour), bounds)
        plain = made.plain() if made else {}
        if baseline is None:
            kept[endpoint.pk] = RouteBaseline.objects.create(endpoint=endpoint, made_at=now, usual=plain)
            continue
        if made and made.bounds != bounds:
            baseline.recent = []  # counts above other bounds
        baseline.made_at, baseline.usual = now, plain
        baseline.save(update_fields=["made_at", "usual", "recent"])


class _Watched:
    """One endpoint while its minutes go by."""

    def __init__(
        self, endpoint: Endpoint, one: Series, open_now: dict[tuple[int, str], RouteFinding],
        stretches: Sequence[Stretch], now: datetime,
    ) -> None:  # fmt: skip
        self._endpoint, self._series, self._now = endpoint, one, now
        self._open = {kind: f for kind in (LATENCY, ERRORS) if (f := open_now.get((endpoint.pk, kind)))}
        self._stretches = stretches
        self._incidents = [one for one in stretches if not one.kind]
        for one in stretches:
            if one.kind and one.kind not in self._open:
                self._series.is_over(one.kind, minute_of(one.end))

    def through(self, rows: Sequence[MinuteRow], hi: datetime) -> None:
        """These minutes, in order."""
        bounds = self._series.usual.bounds
        for row in rows:
            number = minute_of(row.start)
            self._series.next(series.counted(number, row.histogram, row.requests, row.failed, bounds))
            if self._open:
                self._series.mark(1)
                for finding in list(self._open.values()):
                    self._go_on(finding, row)
            elif _within(row.start, self._stretches):
                self._series.mark(1)
                continue
            else:
                self._series.learn()
            if _within(row.start, self._incidents):
                continue
            for alarm in self._series.alarms():
                if alarm.kind not in self._open:  # errors can come while it is slow, and the reverse
                    self._begin(alarm)
        for finding in [f for f in self._open.values() if f.until < hi - series.LASTS_LONG]:
            self._end(finding)  # nobody asked for so long

    def _begin(self, alarm: Alarm) -> None:
        start = datetime.fromtimestamp(alarm.first * 60, self._now.tzinfo)
        last = datetime.fromtimestamp((alarm.last + 1) * 60, self._now.tzinfo)
        near = reading.calls(self._endpoint.pk, start - 2 * STEP, min(start + 4 * STEP, last))
        marks = [(c.at, self._mark(alarm, c)) for c in near if c.failed or c.response_us is not None]
        at = onset(marks, alarm.marks) or start
        first = next((c for c in near if c.at >= at and self._mark(alarm, c) > alarm.marks[0]), None)
        self._series.mark(alarm.last - alarm.first + 1)
        sentence, reasons = self._words(alarm, at, near)
        finding = noting.same(alarm.kind, self._endpoint.pk, at) or RouteFinding(
            kind=alarm.kind, side=alarm.side, endpoint=self._endpoint, at=at, noticed_at=self._now, sentence=sentence,
            reasons=noting.told(reasons), f5_pool_id=first.f5_pool_id if first else self._endpoint.f5_pool_id,
            member_id=self._only_member(near, alarm, at), line_id=first.line_id if first else None,
        )  # fmt: skip
        finding.until, finding.state = last, OPEN
        finding.count, finding.requests = finding.count + alarm.some, finding.requests + alarm.of
        noting.begin(finding)
        self._open[alarm.kind] = finding

    def _mark(self, alarm: Alarm, call: reading.Call) -> float:
        bucket = histogram.bucket(call.response_us) if call.response_us is not None else histogram.BUCKETS
        return self._series.mark_of(alarm, bucket, call.failed)

    def _only_member(self, near: Sequence[reading.Call], alarm: Alarm, at: datetime) -> int | None:
        """The member that all of it came from, where others were asked as well."""
        after = [c for c in near if c.at >= at and c.member_id]
        bad = {c.member_id for c in after if self._mark(alarm, c) >= 0.99}
        others = {c.member_id for c in after} - bad
        return bad.pop() if len(bad) == 1 and others else None

    def _words(self, alarm: Alarm, at: datetime, near: Sequence[reading.Call]) -> tuple[str, list[tuple[bool, str]]]:
        name, minutes = short(self._endpoint.name), alarm.last - alarm.first + 1
        share, expected = alarm.some / alarm.of, alarm.usual
        counts = f"{alarm.some:,} of {alarm.of:,} requests ({share:.0%}), usually {expected:.1%} at this hour"
        if alarm.side == "errors":
            sentence = (
                f"{name} answers {share:.0%} of its requests with an error or not at all, usually {expected:.1%}."
            )
            reasons = [(True, f"Failed since {at:%H:%M:%S}: {counts}.")]
        else:
            above = histogram.bounds(self._series.usual.bounds[alarm.place])[0] / 1000
            beyond = f"{'below' if alarm.side == 'fast' else 'above'} {above:,.0f} ms"
            if alarm.side == "slowest":
                sentence = f"{name} has {alarm.ratio:.1f} times as many very slow answers as usual."
            else:
                by = alarm.ratio if alarm.side == "slow" else 1 / alarm.ratio
                sentence = (
                    f"{name} answers about {by:.1f} times as {'slowly' if alarm.side == 'slow' else 'fast'} as usual."
                )
            reasons = [(True, f"Answers {beyond} since {at:%H:%M:%S}: {counts}.")]
        chance = f"{alarm.sigmas:.1f} standard deviations beyond what this endpoint's minutes usually differ by"
        reasons.append((True, f"Over {minutes} {'minute' if minutes == 1 else 'minutes'} that is {chance}."))
        member = self._only_member(near, alarm, at)
        if member:
            only = Member.objects.filter(pk=member).values_list("name", flat=True).first() or ""
            reasons.append((True, f"All of the worst came from {short(only)}, others were asked as well."))
        known = self._series.usual
        reasons.append((True, f"What is usual: {known.requests:,} requests in {known.hours:,} hours of four weeks."))
        return sentence, reasons

    def _go_on(self, finding: RouteFinding, row: MinuteRow) -> None:
        side = finding.side
        if finding.kind == LATENCY and row.start - finding.at >= series.LASTS_LONG:
            self._series.forget_marks()
            self._end(finding, "It lasts for six hours: from now on it counts as usual.")
        elif self._series.lasts(side):
            bad = self._series.marked(side)
            finding.until, finding.count, finding.requests = (
                row.start + STEP,
                finding.count + bad[0],
                finding.requests + bad[1],
            )
            finding.save(update_fields=["until", "count", "requests"])
        else:
            self._end(finding)

    def _end(self, finding: RouteFinding, why: str = "") -> None:
        finding.state = OVER
        if why:
            finding.reasons = [*finding.reasons, *noting.told([(False, why)])]
        finding.save(update_fields=["state", "reasons"])
        self._open.pop(finding.kind, None)
        self._series.is_over(finding.kind, minute_of(finding.until))


def _within(minute: datetime, stretches: Sequence[Stretch]) -> bool:
    return any(one.start <= minute + STEP and one.end >= minute for one in stretches)
