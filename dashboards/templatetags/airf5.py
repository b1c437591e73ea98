"""Tags and filters of the templates. All markup is made by format_html, so whatever comes from a log is escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.template.defaultfilters import stringfilter
from django.templatetags.static import static
from django.utils import timezone
from django.utils.encoding import escape_uri_path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboards import words
from dashboards.filters import Filter, iso
from dashboards.plots.dag import split_parts
from dashboards.plots.parts import TRY_ICONS
from dashboards.timeline import Mark, Plot, Shape

register = template.Library()

# Constants of ours, never data.
HIDDEN, ON = SafeString('aria-hidden="true"'), SafeString(' class="on"')
DECISIVE = re.compile(r'(\b(?:virtual_name|pool|server_ip|http_statcode|response_ms|task)="[^"]{0,300}")')

for name in ("dur", "latency", "times", "short", "shorten", "plain", "full_stop"):
    register.filter(name, getattr(words, name))

ICONS = {
    **TRY_ICONS,
    "route": "route", "service": "service", "task": "task", "unknown": "unknown",
    "up": "ok", "down": "x", "disabled": "pause", "forced_down": "x", "node_down": "x",
    "ok": "ok", "slow": "slow", "client_error": "task", "server_error": "x", "unanswered": "x", "4xx": "task",
    "open": "route", "over": "ok", "late": "slow", "empty": "unknown", "refused": "x", "unavailable": "x",
    "new": "wait", "closed": "ok", "has_members": "ok", "no_members": "x", "available": "ok",
    "removed": "skip", "added": "ok",
    "misroute": "route", "latency": "slow", "errors": "x", "on": "ok", "off": "pause", "learning": "wait",
}  # fmt: skip
# What the sheet knows as data-state, for words it does not.
HUES = {
    "ok": "success", "over": "success", "closed": "success", "enabled": "success", "server_error": "failed",
    "unanswered": "failed", "client_error": "4xx", "late": "slow", "refused": "failed", "unavailable": "failed",
    "forced_down": "failed", "node_down": "failed", "no_members": "failed", "up_for_reschedule": "up_for_retry",
    "available": "success", "has_members": "success",
    "misroute": "route", "latency": "slow", "errors": "failed", "on": "success", "off": "unknown", "learning": "unknown",
}  # fmt: skip


@register.filter
def many(count: int, forms: str) -> str:
    """{{ 2|many:"try,tries" }}"""
    one, _, more = forms.partition(",")
    return words.many(count or 0, one, more)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    aria = format_html('role="img" aria-label="{}"', label) if label else HIDDEN
    return format_html('<svg class="i" {}><use href="{}#i-{}"/></svg>', aria, static("img/icons.svg"), name)


@register.simple_tag
def state_icon(name: str) -> SafeString:
    return icon(ICONS.get(name, "info"), words.plain(name))


@register.simple_tag
def state(name: str, word: str = "", pill: bool = False, glyph: str = "", hue: str = "") -> SafeString:
    """An icon and a word in the hue of a state: never by colour alone."""
    name = name or "unknown"
    drawn = icon(glyph or ICONS.get(name, "info"))
    return format_html(
        '<span class="state{}" data-state="{}">{}{}</span>',
        " pill" if pill else "", hue or HUES.get(name, name), drawn, word or words.plain(name),
    )  # fmt: skip


@register.simple_tag
def culprit(name: str, pill: bool = False, word: str = "") -> SafeString:
    return state(name, word or words.CULPRIT_WORDS.get(name, name), pill)


@register.simple_tag
def reviewed(row: Any) -> SafeString:
    """The newest word of a person on a verdict, which may be about an answer that was replaced since."""
    name, glyph = ("success", "ok") if row.says == "confirmed" else ("slow", "against")
    said = state(name, f"{row.says} by {row.author}", False, glyph)
    title = f"it was {row.instead}. {row.words}" if row.instead else row.words
    of = SafeString(' <span class="q">of an earlier answer</span>') if row.earlier else ""
    return format_html('<span title="{}">{}{}</span>', title, said, of)


@register.filter
def hue(name: str) -> str:
    return HUES.get(name, name)


@register.simple_tag
def zero(count: int, name: str = "", of: int | None = None) -> SafeString:
    """A number: quiet where it is zero, in the hue of `name` where it is not; `of` says n of m."""
    text = f"{count or 0:,}" + (f" of {of:,}" if of is not None else "")
    if not count:
        return format_html('<span class="q">{}</span>', text)
    return state(name, text) if name else format_html("{}", text)


def _time(at: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', iso(at), text)


@register.filter
def clock(at: datetime | None, digits: int = 0) -> SafeString | str:
    """The time of day; with the date where that is not today's."""
    if at is None:
        return ""
    text = words.clock(at, digits)
    return _time(at, text if words.day(at) == words.day(timezone.now()) else f"{words.day(at)} {text}")


@register.filter
def bare(at: datetime | None, digits: int = 0) -> SafeString | str:
    """The time of day alone, where the date stands elsewhere on the page."""
    return "" if at is None else _time(at, words.clock(at, digits))


@register.filter
def one_day(rows: Iterable[Any], name: str) -> str:
    """The day of all these rows, where it is one and not today: then it stands in the heading, and not in each row."""
    days = {words.day(at) for row in rows if (at := getattr(row, name)) is not None}
    return days.pop() if len(days) == 1 and words.day(timezone.now()) not in days else ""


@register.filter
def between(start: datetime, end: datetime) -> SafeString:
    return format_html("{} to {}", clock(start), bare(end) if words.day(start) == words.day(end) else clock(end))


@register.filter
def apart(rows: Iterable[Any], way: str) -> bool:
    """{% if rows|apart:"airflow" %}: whether they belong to more than one; `way` may lead through a row (row.airflow)."""
    return words.apart(str(resolve(row, way)) for row in rows)


def resolve(row: Any, way: str) -> Any:
    for name in way.split("."):
        row = getattr(row, name, "")
    return row


@register.filter
@stringfilter
def run(run_id: str) -> SafeString:
    """A run's kind and time; its whole id in the title."""
    return format_html('<span title="{}">{}</span>', run_id, words.run_name(run_id, timezone.now()))


@register.filter
def names(items: Iterable[str]) -> str:
    return words.listed([words.short(item) for item in items])


@register.filter
def link_words(kind: str) -> str:
    return words.LINK_WORDS.get(kind, words.plain(kind))


@register.filter
def exact_share(links: dict[str, int]) -> str:
    """'4 of 5 requests exactly'"""
    exact, total = sum(n for kind, n in links.items() if kind in words.EXACT), sum(links.values())
    return f"{exact:,} of {words.many(total, 'request')} exactly"


@register.filter
@stringfilter
def unprefixed(sentence: str) -> str:
    """A verdict's sentence without its culprit, where that is said beside it."""
    return words.unprefixed(sentence)


@register.filter
@stringfilter
def decisive(raw: str) -> SafeString:
    """A line as received, with the fields that decide in bold; both parts are escaped."""
    pieces = DECISIVE.split(raw)  # odd ones are the matches
    return format_html_join("", "{}", ((format_html("<b>{}</b>", p) if n % 2 else p,) for n, p in enumerate(pieces)))


@register.filter
@stringfilter
def dotted(name: str) -> SafeString:
    """A name of several parts, which may wrap behind a dot and nowhere else."""
    return format_html_join(SafeString(".<wbr>"), "{}", ((part,) for part in name.split(".")))


@register.filter
def of_all(counts: Sequence[int]) -> str:
    """[bad, all] as '4 of 1,228'."""
    return f"{counts[0]:,} of {counts[1]:,}"


@register.filter
def until(at: datetime, then: datetime) -> str:
    """How long before `then` it was."""
    seconds = (then - at).total_seconds()
    return f"{words.dur(seconds)} before" if seconds >= 1 else "that moment"


@register.filter
def spared(rows: Iterable[Any]) -> str:
    """Of a list of incidents, what Airflow and F5 would have sent: the parts of one count with it."""
    roots = [row for row in rows if not row.parent]
    return words.became(sum(row.messages for row in roots), len(roots))


@register.filter
def percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f}{words.NBSP}%"


@register.filter
def percents(share: float | None) -> str:
    """With a decimal, cut and not rounded: a bound is never shown better than it is."""
    return "" if share is None else f"{math.floor(share * 1000 + 1e-9) / 10:.1f}{words.NBSP}%"


@register.simple_tag
def figure(of: Any, value: float | None) -> str:
    """A figure of the bench: a share in per cent, anything else as the number it is."""
    if value is None:
        return ""
    return f"{value * 100:.2f}{words.NBSP}%" if of.k is not None else f"{value:.3f}"


@register.filter
def mul(value: float, by: float) -> float:
    return value * by


# Addresses ---------------------------------------------------------------------------------------


@register.simple_tag
def query(asked: Filter, **changes: Any) -> str:
    """The query string of the same question with changes: {% query asked last='1h' %}."""
    return "?" + asked.with_(**changes).to_query()


@register.simple_tag
def after(asked: Filter, cursor: str) -> str:
    return "?" + asked.page_after(cursor).to_query(paging=True)


@register.simple_tag(takes_context=True)
def export(context: dict[str, Any], kind: str) -> str:
    """The same address with a suffix: /tries/?… becomes /tries.csv?…"""
    asked: Filter = context["asked"]
    question = asked.absolute().to_query()
    return f"{escape_uri_path(context['request'].path.rstrip('/'))}.{kind}?{question}"


@register.simple_tag
def heading(
    asked: Filter, word: str, field: str, down: bool = True, less: bool = False, num: bool = False
) -> SafeString:
    """A column heading that sorts: the link turns the order round where it is the column's already."""
    up, falling = field, f"-{field}"
    now = asked.sort
    to = (up if now == falling else falling) if now in (up, falling) else (falling if down else up)
    cls = " ".join(
        c for c in ("num" if num else "", "less" if less else "", "sorted" if now in (up, falling) else "") if c
    )
    order = {up: "ascending", falling: "descending"}.get(now)
    aria = format_html(' aria-sort="{}"', order) if order else ""
    href = "?" + asked.with_(sort=to).to_query()
    return format_html('<th scope="col" class="{}"{}><a href="{}">{}</a></th>', cls, aria, href, word)


# Plots -------------------------------------------------------------------------------------------


@register.simple_tag
def shape(item: Shape) -> SafeString:
    """One SVG element, its attributes escaped."""
    if item.tag == "icon":
        return _icon(dict(item.attrs))
    attrs = format_html_join("", ' {}="{}"', item.attrs)
    title = format_html("<title>{}</title>", item.title) if item.title else ""
    if not item.text and not title:
        return format_html("<{}{}/>", item.tag, attrs)
    return format_html("<{}{}>{}{}</{}>", item.tag, attrs, title, item.text, item.tag)


def _icon(attrs: dict[str, str]) -> SafeString:
    return format_html(
        '<svg x="{}" y="{}" overflow="visible"><use class="i" href="{}#i-{}" x="{}" width="{}" height="{}"/></svg>',
        attrs["x"], attrs["y"], static("img/icons.svg"), attrs["name"], attrs["dx"], attrs["size"], attrs["size"],
    )  # fmt: skip


@register.simple_tag
def mark(item: Mark | Shape) -> SafeString:
    """A mark is a link with a title; a bare shape is not."""
    if isinstance(item, Shape):
        return shape(item)
    inner = format_html_join("", "{}", ((shape(piece),) for piece in item.shapes))
    title = format_html("<title>{}</title>", item.title) if item.title else ""
    data = format_html(' data-state="{}"', HUES.get(item.state, item.state)) if item.state else ""
    on = ON if item.on else ""
    if not item.href:
        return format_html("<g{}{}>{}{}</g>", data, on, title, inner)
    return format_html('<a href="{}"{}{}>{}{}</a>', item.href, data, on, title, inner)


@register.inclusion_tag("parts/key.html")
def legend(keys: str) -> dict[str, Any]:
    """What is on this plot, nothing else."""
    return {"keys": keys.split()}


@register.inclusion_tag("parts/plot.html")
def plot(drawn: Plot) -> dict[str, Any]:
    return {"plot": drawn}


@register.simple_tag
def parts_bar(split: Any, width: int = 150, scale: float | None = None) -> SafeString:
    """Where the time went as a small bar with its words as label."""
    pieces = [(part, seconds, said) for part, seconds, said in split_parts(split) if seconds > 0]
    whole, x, rects = scale or sum(seconds for _, seconds, _ in pieces) or 1, 0.0, []
    for part, seconds, said in pieces:
        wide = seconds / whole * width
        if wide >= 0.6:
            rects.append((part, f"{x:.1f}", f"{wide:.1f}", said))
        x += wide
    drawn = format_html_join(
        "", '<rect class="part" data-part="{}" x="{}" width="{}" height="12"><title>{}</title></rect>', rects
    )
    label = ", ".join(said for _, seconds, said in pieces if seconds >= 0.05) or "no time recorded"
    return format_html(
        '<svg class="mini" width="{}" height="12" role="img" aria-label="{}">{}</svg>', width, label, drawn
    )


@register.simple_tag
def spark(runs: Sequence[Any], normal: float | None, width: int = 132, height: int = 24) -> SafeString | str:
    """The lengths of the latest runs as a line, failed ones as dots."""
    timed = [run for run in runs if run.seconds is not None]
    if not timed:
        return ""
    top = max([run.seconds for run in timed] + [normal or 0]) * 1.02 or 1
    step = max(1, len(timed) - 1)
    xy = [(4 + n / step * (width - 10), height - 3 - run.seconds / top * (height - 7)) for n, run in enumerate(timed)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
    dots = [
        ("failed" if run.state == "failed" else "", f"{x:.1f}", f"{y:.1f}")
        for n, (run, (x, y)) in enumerate(zip(timed, xy, strict=True))
        if run.state == "failed" or n == len(timed) - 1
    ]
    rule = ""
    if normal:
        y = f"{height - 3 - normal / top * (height - 7):.1f}"
        rule = format_html('<line class="median" x1="0" x2="{}" y1="{}" y2="{}"/>', width, y, y)
    circles = format_html_join("", '<circle class="dot" data-state="{}" cx="{}" cy="{}" r="2.2"/>', dots)
    lengths = [run.seconds for run in timed]
    label = f"{len(timed)} runs, {words.dur(min(lengths))} to {words.dur(max(lengths))}, last {words.dur(lengths[-1])}"
    return format_html(
        '<svg class="mini" width="{}" height="{}" role="img" aria-label="{}">{}'
        '<polyline class="spark" points="{}"/>{}</svg>',
        width, height, label, rule, line, circles,
    )  # fmt: skip


@register.filter
def endpoint_name(lane: Any) -> str:
    """For an address; the lane of verdicts without an endpoint has none."""
    return lane.name if lane.endpoint_id else ""


@register.simple_tag
def lasted(span: Any) -> str:
    return words.dur((span.end - span.start).total_seconds())


@register.simple_tag
def share_bar(name: str, count: int, most: int) -> SafeString:
    wide = f"{count / (most or 1) * 100:.1f}%"
    return format_html(
        '<svg width="100%" height="12" aria-hidden="true">'
        '<rect class="band" data-state="{}" width="{}" height="12" rx="2"/></svg>',
        name, wide,
    )  # fmt: skip
