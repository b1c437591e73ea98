"""Lanes and marks on one time axis, as data that a template writes down as SVG (pure).

Across in per cent, down in pixels, no viewBox: a plot fits any width and its text never scales. What is drawn is said
by class and data-state only, so the sheet colours it in both themes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from dashboards.words import tick

LANE, GROUP = 30, 24
STEPS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14_400,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
)
NEAR = 1.2  # per cent of the axis: marks closer than that become one
MOST_LANES = 12
ROOM_FOR_WORDS = 12.0
TURN = 88.0  # words beyond it stand left of their mark

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shape:
    """One SVG element: name, attributes, and the text in it. `icon` is a nested svg with an icon of the sprite."""

    tag: str
    attrs: tuple[tuple[str, str], ...]
    text: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Shapes that are one link, with a title that has name, state and times."""

    shapes: tuple[Shape, ...]
    title: str
    state: str = ""
    href: str = ""
    on: bool = False  # icons on a filled cell


@dataclass(frozen=True, slots=True)
class Label:
    """The words at the left of one lane."""

    text: str = ""
    side: str = ""
    href: str = ""
    title: str = ""
    kind: str = "lane"  # lane | group | tall
    height: int = LANE
    scale: tuple[tuple[float, str], ...] = ()
    mono: bool = False
    whose: str = ""  # the Airflow or device group, where more than one is in view


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without log data, with the reason."""

    start: datetime
    end: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Near(Generic[Item]):
    """Items nearer to each other than a mark is wide."""

    items: tuple[Item, ...]
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Axis:
    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        whole = (self.end - self.start).total_seconds() or 1.0
        return max(0.0, min(100.0, (at - self.start).total_seconds() / whole * 100))

    def pc(self, at: datetime) -> str:
        return f"{self.x(at):.2f}%"

    def span(self, start: datetime, end: datetime) -> dict[str, str]:
        """x and width; the sheet's stroke keeps the narrowest bar visible."""
        return {"x": self.pc(start), "width": f"{max(0.02, self.x(end) - self.x(start)):.2f}%"}

    def holds(self, start: datetime, end: datetime) -> bool:
        return end >= self.start and start <= self.end

    def ticks(self, wish: int) -> list[datetime]:
        """The smallest round step that gives at most `wish` ticks."""
        seconds = (self.end - self.start).total_seconds()
        step = next((s for s in STEPS if seconds / s <= wish + 0.5), STEPS[-1])
        first = -(-self.start.timestamp() // step) * step
        count = int((self.end.timestamp() - first) // step) + 1
        return [datetime.fromtimestamp(first + n * step, UTC) for n in range(max(0, count))]


def shape(tag: str, cls: str = "", *, text: str = "", title: str = "", **attrs: object) -> Shape:
    """A Shape from keywords: `text_anchor` becomes text-anchor, `data_at` data-at, numbers lose their tail."""
    pairs = [("class", cls)] if cls else []
    pairs += [(name.replace("_", "-"), _number(value)) for name, value in attrs.items() if value not in (None, "")]
    return Shape(tag, tuple(pairs), text, title)


def icon(name: str, x: str, y: float, size: int = 10, dx: float = 0.0) -> Shape:
    """An icon whose place is per cent plus pixels: the nested svg carries the per cent."""
    attrs = (("name", name), ("x", x), ("y", _number(y)), ("dx", _number(dx)), ("size", str(size)))
    return Shape("icon", attrs)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass
class Plot:
    """Collects one lane plot from the top down: labels at the left, one SVG at the right, one axis above."""

    axis: Axis
    title: str
    wish: int = 15
    long: bool = False
    ident: str = "plot"
    labels: list[Label] = field(default_factory=lambda: [Label(kind="group", height=GROUP)])
    back: list[Shape] = field(default_factory=list)  # grid and bands, under everything
    body: list[Mark | Shape] = field(default_factory=list)
    late: list[Mark | Shape] = field(default_factory=list)  # failures: drawn last, on top
    gaps: list[Gap] = field(default_factory=list)
    windows: list[tuple[datetime, datetime, bool]] = field(default_factory=list)
    y: int = GROUP

    def group(self, text: str, whose: str = "") -> None:
        self.labels.append(Label(text=text, kind="group", height=GROUP, whose=whose))
        self.y += GROUP

    def lane(
        self, text: str, side: str = "", href: str = "", title: str = "", *, mono: bool = False, whose: str = ""
    ) -> int:
        """Adds a lane and returns its top."""
        self.labels.append(Label(text, side, href, title or text, mono=mono, whose=whose))
        top = self.y
        self.back.append(shape("line", "grid", x1=0, x2="100%", y1=top + LANE - 0.5, y2=top + LANE - 0.5))
        self.y += LANE
        return top

    def tall(self, text: str, scale: Sequence[tuple[float, str]], height: int) -> int:
        """Adds a chart lane with its own scale, [(pixels from its top, text)], and returns its top."""
        self.labels.append(Label(text, kind="tall", height=height, scale=tuple((y + 4, word) for y, word in scale)))
        top = self.y
        self.back += [shape("line", "grid", x1=0, x2="100%", y1=top + y, y2=top + y) for y, _ in scale]
        self.y += height
        return top

    def mark(
        self,
        shapes: Iterable[Shape],
        title: str,
        state: str = "",
        href: str = "",
        *,
        on: bool = False,
        late: bool = False,
    ) -> None:
        (self.late if late else self.body).append(Mark(tuple(shapes), title, state, href, on))

    def window(self, start: datetime, end: datetime, *, edge: bool = True) -> None:
        """The span of an incident behind its marks."""
        self.windows.append((start, end, edge))

    def gap(self, start: datetime, end: datetime, why: str) -> None:
        if end > self.axis.start and start < self.axis.end and end > start:
            self.gaps.append(Gap(max(start, self.axis.start), min(end, self.axis.end), why))

    def words(
        self, at: datetime, y: float, text: str, *, end: datetime | None = None, dx: float = 6, cls: str = "val minor"
    ) -> Shape:
        """Words right of a mark from `at` to `end`, left of it near the right edge."""
        last = end or at
        if self.axis.x(last) > TURN:
            return shape("text", cls, x=self.axis.pc(at), dx=-dx, y=y, text_anchor="end", text=text)
        return shape("text", cls, x=self.axis.pc(last), dx=dx, y=y, text=text)

    # What a template asks for ------------------------------------------------------------------

    @property
    def height(self) -> int:
        return self.y + 2

    def under(self) -> list[Shape]:
        return [*self._windows(), *self.back, *self._grid()]

    def over(self) -> list[Mark | Shape]:
        return [*self.body, *self.late]

    def gap_shapes(self) -> list[Shape]:
        """Hatching over lanes and under marks, with words where there is room."""
        shapes = [
            shape(
                "rect",
                fill="url(#gap)",
                y=GROUP,
                height=self.y - GROUP,
                title=gap.why,
                **self.axis.span(gap.start, gap.end),
            )
            for gap in self.gaps
        ]
        for gap in self.gaps:
            if self.axis.x(gap.end) - self.axis.x(gap.start) > ROOM_FOR_WORDS:
                middle = f"{(self.axis.x(gap.start) + self.axis.x(gap.end)) / 2:.2f}%"
                said = gap.why.split(": ")[0]
                shapes.append(
                    shape("text", "halo minor", x=middle, y=(GROUP + self.y) // 2 + 4, text_anchor="middle", text=said)
                )
        return shapes

    def _windows(self) -> list[Shape]:
        shapes = []
        for start, end, edge in self.windows:
            shapes.append(shape("rect", "window", y=GROUP, height=self.y - GROUP, **self.axis.span(start, end)))
            if edge and start >= self.axis.start:
                shapes.append(
                    shape("line", "edge", x1=self.axis.pc(start), x2=self.axis.pc(start), y1=GROUP - 6, y2=self.y)
                )
        return shapes

    def _grid(self) -> list[Shape]:
        ticks = self.axis.ticks(self.wish)
        keep = -(-len(ticks) // 4) or 1  # about four stay on a phone
        shapes = []
        for n, at in enumerate(ticks):
            x, pc = self.axis.x(at), self.axis.pc(at)
            anchor = "start" if x < 2 else "end" if x > 98 else "middle"
            minor = "" if n % keep == 0 and x < 92 else "minor"
            shapes.append(shape("line", "grid", x1=pc, x2=pc, y1=GROUP - 4, y2=self.y))
            shapes.append(shape("text", minor, x=pc, y=14, text_anchor=anchor, data_at=_iso(at), text=tick(at)))
        return shapes


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def near(axis: Axis, items: Iterable[Item], when: Callable[[Item], datetime]) -> list[Near[Item]]:
    """Items in groups whose neighbours are nearer than a mark is wide."""
    groups: list[list[Item]] = []
    for item in sorted(items, key=when):
        if groups and axis.x(when(item)) - axis.x(when(groups[-1][-1])) < NEAR:
            groups[-1].append(item)
        else:
            groups.append([item])
    return [Near(tuple(group), when(group[0]), when(group[-1])) for group in groups]


def folded(rows: Sequence[Item], most: int = MOST_LANES) -> tuple[Sequence[Item], Sequence[Item]]:
    """The rows that get a lane of their own, and the rest."""
    return (rows, ()) if len(rows) <= most else (rows[: most - 1], rows[most - 1 :])


def around(moments: Iterable[datetime], pad: float = 0.06, least: timedelta = timedelta(seconds=2)) -> Axis:
    """An axis that holds all moments with some room at both ends."""
    known = sorted(moments)
    span = max(known[-1] - known[0], least)
    return Axis(known[0] - span * pad, known[-1] + span * pad)
