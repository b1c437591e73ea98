"""Truth and verdicts of one world set side by side: one row for every try that has either (pure)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from captures.score import ALIASN, key, norm

ROUTE, SERVICE, TASK, UNKNOWN = CULPRITS = ("route", "service", "task", "unknown")
# Codes that name no fault: of a kind that no rule knows, they are the honest answers
GENERAL = frozenset({"unanswered", "undecided", "no_data", "no_f5_path", ""})
WHOLE = (
    "virtual_server",
    "pool",
    "f5_pool",
    "service",
    "path",
)  # kinds of component that are a route, or all behind it
LINKS = {
    "by the try's UUID in the URL": "uuid",
    "by the X-Airflow-Task header": "header",
    "by the run's trace id and time": "run_and_time",
    "by client, endpoint and time": "client_and_endpoint",
    "by endpoint and time": "time_and_endpoint",
}

Key = tuple[str, str, str, int, int]  # dag, run, task, map index, try


@dataclass(frozen=True, slots=True)
class Expected:
    """What the truth says of one try: what the logs can tell, and what was really done."""

    culprit: str
    cause: str
    accepted: frozenset[str]  # codes that are as good, the cause itself among them
    component: str = ""
    component_kind: str = ""
    really: str = ""  # culprit by the twin run; "": the truth does not say more than the logs
    kind: str = ""  # N1 ... A14, H1; in captures without kinds the fault's own word for it
    twin: str = ""
    unseen: bool = False  # a kind that no other split has
    fault: str = ""  # "": no fault of the plan
    acted: tuple[float, float] | None = None  # from when to when the fault did, in seconds
    lines: int = 0  # that the BIG-IP wrote about its fault
    slow: bool = False  # it went well, only late: nobody is mailed about it
    # whom each accepted code names, (kind, name) each; ("", ""): nobody
    components: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    strict: bool = False  # a capture that does not say which codes are as good: their culprit must be right too

    @property
    def identifiable(self) -> bool:
        return self.culprit != UNKNOWN

    @property
    def blamed(self) -> str:
        """Whose fault it was in fact, "" where that is not known."""
        told = self.really or self.culprit
        return told if told != UNKNOWN else ""

    def accepts(self, culprit: str, cause: str) -> bool:
        """Whether this answer is as right as the one expected: another code can be, whoever it names."""
        return cause in self.accepted and (culprit == self.culprit or not self.strict)


@dataclass(frozen=True, slots=True)
class Said:
    """What the product said of one try; without a verdict it said nothing."""

    culprit: str = UNKNOWN
    cause: str = ""
    component: str = ""
    component_kind: str = ""
    confidence: float = 0.0
    acquitted: bool = False
    status: str = "missing"
    incident: int | None = None
    rule: str = "none"
    link: str = "none"
    sentence: str = ""
    uncovered: bool = False  # a log that is needed has a gap at that time
    place: tuple[str, ...] = ()  # the virtual server and the pool of the request that decides


@dataclass(frozen=True, slots=True)
class Row:
    """One try of one world."""

    world: str
    key: Key
    expected: Expected | None  # None: the truth needs no verdict of it
    said: Said
    confounders: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)  # baseline -> the culprit it names
    cut: bool = False  # the capture says that its log does not cover this try

    @property
    def culprit_right(self) -> bool:
        return self.expected is not None and (self.said.culprit == self.expected.culprit or self.cause_right)

    @property
    def cause_right(self) -> bool:
        return self.expected is not None and self.expected.accepts(self.said.culprit, self.said.cause)

    @property
    def names_somebody(self) -> bool:
        """Whether a component is asked for: not where the truth knows none, nor for an answer that rightly names nobody."""
        if self.expected is None or not self.expected.component:
            return False
        return not self.cause_right or any(name for _, name in self._options)

    @property
    def component_right(self) -> bool:
        """A name that goes with the cause said; what stands behind a virtual server as a whole may be called by its or by
        its pool's."""
        return self.expected is not None and any(self._is_called(kind, name) for kind, name in self._options)

    @property
    def _options(self) -> tuple[tuple[str, str], ...]:
        assert self.expected is not None
        known = self.expected.components.get(self.said.cause) if self.cause_right else None
        return known or ((self.expected.component_kind, self.expected.component),)

    def _is_called(self, kind: str, name: str) -> bool:
        named = {short(self.said.component)}
        if kind in WHOLE and self.said.component_kind in WHOLE:
            named |= {short(place) for place in self.said.place}
        return short(name) in named

    @property
    def honestly_blamed(self) -> bool:
        """Not the network in fact, but the logs say no more than `unanswered`, which is what was said."""
        innocent = self.expected is not None and self.expected.blamed in (SERVICE, TASK)
        return innocent and self.said.culprit == ROUTE and self.cause_right

    @property
    def falsely_blamed(self) -> bool:
        """Not the network, and called so, though the logs do not ask for it."""
        innocent = self.expected is None or self.expected.blamed in (SERVICE, TASK)
        return innocent and self.said.culprit == ROUTE and not self.honestly_blamed

    @property
    def falsely_cleared(self) -> bool:
        """The network, and called another's fault, or acquitted."""
        guilty = self.expected is not None and self.expected.blamed == ROUTE
        if not guilty or self.said.culprit == ROUTE:
            return False
        return self.said.acquitted if self.said.culprit == UNKNOWN else not self.cause_right

    def told(self) -> dict[str, Any]:
        """As JSON, for people who look at single answers."""
        expected = asdict(self.expected) | {"accepted": sorted(self.expected.accepted)} if self.expected else None
        return {
            "world": self.world, "key": list(self.key), "expected": expected, "said": asdict(self.said),
            "confounders": list(self.confounders), "others": dict(self.others),
        }  # fmt: skip


def short(component: str) -> str:
    """A component without its partition and its case: /Common/orders2:9000 is orders2:9000."""
    return component.strip().rsplit("/", 1)[-1].lower()


def said_of(verdict: Mapping[str, Any]) -> Said:
    """A line of `manage.py verdicts`, with `rule`, `component_kind`, `link` and `uncovered` where they are known."""
    culprit = verdict.get("culprit")
    return Said(
        culprit=culprit if culprit in CULPRITS else UNKNOWN,
        cause=norm(verdict.get("cause")),
        component=verdict.get("component") or "",
        component_kind=verdict.get("component_kind") or "",
        confidence=float(verdict.get("confidence") or 0.0),
        acquitted=verdict.get("route_acquitted") is True,
        status=verdict.get("status") or "",
        incident=verdict.get("incident"),
        rule=verdict.get("rule") or "",
        link=LINKS.get(verdict.get("link") or "", "none"),
        sentence=verdict.get("sentence") or "",
        uncovered=verdict.get("uncovered") is True,
        place=tuple(name for which in ("endpoint", "f5_pool") if (name := verdict.get(which))),
    )


def expected_of(
    world: str, one: Mapping[str, Any], faults: Mapping[str, Mapping[str, Any]], lines: Mapping[str, int]
) -> Expected:
    """A row of the truth's `tries`; what a capture without kinds does not say is filled in."""
    fault = faults.get(one.get("fault") or "", {})
    cause = norm(one["cause"])
    told = {norm(code) for code in one.get("accepted") or ()}
    return Expected(
        culprit=one["culprit"],
        cause=cause,
        accepted=frozenset(told | {cause}) if told else frozenset(ALIASN.get(cause, {cause})),
        components=_components(one.get("components") or {}),
        strict=not told,
        component=one.get("component") or "",
        component_kind=one.get("component_kind") or "",
        really=(one.get("really") or {}).get("culprit") or "",
        kind=one.get("kind") or fault.get("kind") or "own",
        twin=one.get("twin") or fault.get("twin") or "",
        unseen=fault.get("unseen") is True,
        fault=f"{world}/{one['fault']}" if one.get("fault") else "",
        lines=lines.get(one.get("fault") or "", 0),
        slow=one.get("slow") is True,
        acted=(_seconds(fault["start"]), _seconds(fault["end"])) if fault.get("start") and fault.get("end") else None,
    )


def _components(told: Mapping[str, Iterable[Sequence[str]]]) -> dict[str, tuple[tuple[str, str], ...]]:
    return {norm(code): tuple((kind, name) for kind, name in named) for code, named in told.items()}


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def _sized(world: Mapping[str, Any]) -> list[str]:
    """How much of the lines is lost and how far clocks are off, as names: loss_10 (%), skew_5 (s, either way)."""
    out = [f"loss_{world['loss'] * 100:.0f}"] if world.get("loss") else []
    return out + ([f"skew_{abs(world['skew_s']):g}"] if world.get("skew_s") else [])


def rows(
    world: str, truth: Mapping[str, Any], verdicts: Iterable[Mapping[str, Any]],
    others: Mapping[Key, Mapping[str, str]] | None = None, cut: Container[Key] = (), lines: Mapping[str, int] | None = None,
) -> list[Row]:  # fmt: skip
    """Every try that the truth or the product has something to say about, in order of its key."""
    faults = {fault["id"]: fault for fault in truth["faults"]}
    sized = _sized(truth.get("world") or {})
    expected = {key(one): one for one in truth["tries"]}
    edge = {tuple(one) for one in truth.get("ignored") or ()}  # slow or not, by a hair: nothing is asked of them
    said = {k: one for one in verdicts if (k := key(one)) not in edge or k in expected}
    out = []
    for k in sorted(expected.keys() | said.keys()):
        one = expected.get(k)
        fault = faults.get(one.get("fault") or "", {}) if one else {}
        named = (one or {}).get("confounders")
        out.append(
            Row(
                world=world,
                key=k,
                expected=expected_of(world, one, faults, lines or {}) if one else None,
                said=said_of(said[k]) if k in said else Said(),
                confounders=tuple(sorted({*(named if named is not None else fault.get("confounders") or ()), *sized})),
                others=(others or {}).get(k, {}),
                cut=k in cut,
            )
        )
    return out
