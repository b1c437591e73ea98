"""What an honest reader of both logs can tell of one bad try. It sees emitted rows only, and shares no code with the rules.

`Oracle.tell` is given what really happened, and asks whether the lines that prove it are there, whether they can be joined
to the try, and whether others were asked to compare; if not, the honest answer is another cause or `undecided`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from bench.faults import compare
from bench.faults.confound import Emitted, Row
from bench.faults.device import Said
from bench.faults.inject import Fault
from bench.faults.kinds import KINDS, NOT_TOLD, culprit
from bench.faults.tasks import Try
from bench.faults.traffic import Exchange
from bench.faults.world import World

UNSENT = ("dns", "proxy", "tls", "refused", "connect_timeout")


@dataclass(frozen=True, slots=True)
class Told:
    """What the logs can tell: a cause, those that are as right, and whether the truth is among them."""

    cause: str
    accepted: tuple[str, ...] = ()
    identifiable: bool = True

    @property
    def culprit(self) -> str:
        return culprit(self.cause)


def untold(*accepted: str) -> Told:
    return Told("undecided", (*(c for c in NOT_TOLD if c != "undecided"), *accepted), False)


def rendered(t: Try) -> str:
    """The path that REST shows for this task instance; '' where its code alone knows it. A wrong one has a tail."""
    run = quote(t.run.run_id, safe="")
    if t.deciding is not None and t.deciding.path.startswith(f"{t.task.path}-v9"):
        return f"{t.task.path}-v9"
    return {"call": f"{t.task.path}?batch={run}", "sensor": f"{t.task.path}/{run}", "post": t.task.path}.get(
        t.task.kind, ""
    )


class Oracle:
    def __init__(self, world: World, emitted: Emitted, bad: list[Try]) -> None:
        self.world, self.log, self.bad = world, emitted, bad
        self.keys = world.headers and world.template != "ts"

    def tell(self, t: Try, fault: Fault | None, x: Exchange | None, slow: bool, keys: bool) -> Told:
        """The honest answer for this try; `keys`: whether the logged headers may be used."""
        failure = t.failure
        if failure is not None and failure.cause:
            return self._own(t, failure.cause)
        if fault is None and x is None:
            return untold("task_error")
        if fault is not None and fault.kind == "A4":
            return Told("slot_starvation")  # REST shows when it was queued and when it began
        if x is None:
            return untold()
        if x.ep.execution:
            return self._api(t, x, fault, slow)
        if x.error in UNSENT and not slow:
            return self._unsent(t, x, fault)
        row = self.log.by_exchange.get(id(x))
        if row is None or not self._whole(row) or not self._linked(t, x, row, slow, keys):
            return untold()
        return self._sent(t, x, row, fault, slow)

    # --- causes that no request decides ---------------------------------------------------------------------------

    def _own(self, t: Try, cause: str) -> Told:
        if cause == "scheduler_down" and not self.world.v3:
            return Told("undecided", ("worker_killed", "scheduler_down"), False)
        if cause == "worker_killed" and t.failure is not None and t.failure.kind == "silent":
            return Told(cause, ("undecided",))
        return Told(cause)

    def _api(self, t: Try, x: Exchange, fault: Fault | None, slow: bool) -> Told:
        rows = [self.log.by_exchange.get(id(c)) for c in t.calls if c.ep.execution and c.failed]
        if fault is not None and fault.kind == "A14":
            return self._unsent(t, x, fault)
        if fault is not None and fault.kind == "N13" and self.said(x.at, "standby", 40, 10):
            return Told("failover", ("api_unreachable",))
        named = (KINDS[fault.kind].cause, *KINDS[fault.kind].accepted) if fault else ()
        if slow and not x.failed:
            return Told("api_unreachable", ("slow_member", "undecided", "service_slow", *filter(None, named)))
        if not any(row is not None and self._whole(row) for row in rows):
            return untold("api_unreachable")
        return Told("api_unreachable", tuple(c for c in (*named, "no_member", "unanswered") if c))

    # --- calls of which the device saw nothing --------------------------------------------------------------------

    def _unsent(self, t: Try, x: Exchange, fault: Fault | None) -> Told:
        kind = fault.kind if fault else ""
        around = self.log.near(x.ep.index, x.at - 60, x.at + 60)
        well = [r for r in around if r.response is not None and (r.x.status or 500) < 500 and r.x is not x]
        if kind in ("A11", "A14"):
            if len(well) >= 3 and (x.error != "connect_timeout" or self._worker_alone(t, x)):
                return Told("worker_network", ("undecided",) if x.ep.execution else ())
            return untold("worker_network")
        if kind == "N11":
            before = self.log.near(x.ep.index, x.at - 660, x.at - 60)
            silent = self.log.near(x.ep.index, max(x.at - 40, fault.start if fault else 0), x.at + 20)
            expected = len(before) / 600 * 60
            if self.said(x.at, "vs_unavailable", 900, 5, x.ep.vs) or (
                not silent and expected >= 5 and not self._in_gap(x.at)
            ):
                return Told("vip_unreachable", ("config_change",))
            return untold("vip_unreachable")
        if kind == "N9":
            seen = self.said(x.at, "tls", 3, 8, x.ep.vs)
            mine = [
                s
                for s in seen
                if s.client == f"{x.client}:{x.port}" or (not self.world.proxy and s.client.startswith(f"{x.client}:"))
            ]
            return Told("tls_failure") if mine or seen else untold("tls_failure")
        if kind == "N13" and self.said(x.at, "standby", 45, 12):
            return Told("failover")
        return untold()

    def _worker_alone(self, t: Try, x: Exchange) -> bool:
        """Other tries of this worker fail to reach hosts too, and its address is silent where it should not be."""
        same = [o for o in self.bad if o.worker == t.worker and abs(o.end - t.end) <= 180 and o is not t]
        others = [
            o
            for o in self.bad
            if o.worker != t.worker
            and abs(o.end - t.end) <= 60
            and o.deciding
            and o.deciding.error == "connect_timeout"
        ]
        return len(same) >= 1 and not others

    # --- calls that crossed the device ----------------------------------------------------------------------------

    def _whole(self, row: Row) -> bool:
        """The line that tells how it ended is there: the answer, or the question that nobody answered."""
        return row.response is not None if row.x.answered else row.request is not None

    def _sent(self, t: Try, x: Exchange, row: Row, fault: Fault | None, slow: bool) -> Told:
        kind = KINDS[fault.kind] if fault else None
        unanswered = row.response is None
        late = (
            x.error in ("timeout", "reset") and row.response is not None and not x.own and x.dur <= x.end - x.at + 0.001
        )
        if late:  # the device answered in time: the loss is behind it
            return Told("undecided", ("unanswered", "no_data"), False)
        if fault is None or kind is None:
            return Told("unanswered") if unanswered else untold()
        best = fault.cause or kind.cause
        proof = PROOFS.get(fault.kind)
        if proof is not None and proof(self, t, x, fault):
            if fault.kind in ("N1", "N3") and not self._soon(x, fault):
                return Told(best, (*kind.accepted, "unanswered"))  # the monitor spoke long after it
            if self.world.makes_own_errors and x.status in (502, 504) and fault.members:
                return Told(best, (*kind.accepted, "reset_by_server", "unanswered"))  # whose 502 it was is not logged
            more = (
                *kind.accepted,
                *(("unanswered",) if unanswered and best in ("slow_member", "member_grey", "unanswered") else ()),
            )
            return Told(best, tuple(c for c in more if culprit(c) == culprit(best) or c in kind.accepted))
        if unanswered and x.kind == "rst" and x.reason.startswith("{peer}") and _reset_said(self, t, x, fault):
            return Told(
                "reset_by_server", (best, "unanswered")
            )  # the device said of this connection that its member reset it
        if unanswered and fault.kind != "A8":
            return Told("unanswered", (best, "undecided") if culprit(best) != "route" else (best,))
        if x.own and x.status in (502, 503, 504):
            said = "no_member" if x.status == 503 else "reset_by_server"  # a 503 names no member, the others do
            return Told(best if culprit(best) == "route" else said, (said, "unanswered"))
        return untold(best) if culprit(best) == "route" and x.status and x.status >= 500 else untold()

    def _soon(self, x: Exchange, fault: Fault) -> bool:
        return any(self.said(x.at, "down", fault.end - fault.start, 30, m.name) for m in fault.members)

    def said(self, at: float, state: str, before: float, after: float, obj: str = "") -> list[Said]:
        """Messages in that state from `before` seconds before `at` to `after` behind it."""
        return [
            s
            for _, s in self.log.said
            if s.state == state and -before <= s.at - at <= after and (not obj or s.object == obj)
        ]

    def _in_gap(self, at: float) -> bool:
        return bool(self.world.gap and self.world.gap[0] - 60 <= at < self.world.gap[1] + 60)

    # --- whose request is it --------------------------------------------------------------------------------------

    def _linked(self, t: Try, x: Exchange, row: Row, slow: bool, keys: bool) -> bool:
        if keys and self.keys:
            return True
        fits = [r for r in self._window(t, x.ep.index) if self._fits(t, r, slow)]
        if len(fits) == 1 and fits[0] is row:
            return not any(self._fits_other(o, row) for o in self.bad if o is not t)
        if t.map_index < 0 or slow:
            return False
        siblings = [o for o in self.bad if o.key[:3] == t.key[:3] and o.number == t.number]
        low, high = min(o.start or o.end for o in siblings), max(o.end for o in siblings)
        found = [
            r
            for r in self.log.near(x.ep.index, low - 0.5, high + 0.5)
            if self._fits(t, r, slow, any_worker={o.worker for o in siblings})
        ]
        return len(found) == len(siblings)

    def _window(self, t: Try, endpoint: int) -> list[Row]:
        return self.log.near(endpoint, (t.start or t.queued) - 0.5, t.end + 0.5)

    def _fits(self, t: Try, r: Row, slow: bool, any_worker: set[str] | None = None) -> bool:
        """This line could be the bad request of this try, by all that is known of the try without headers."""
        workers = {self.world.workers[w] for w in (any_worker or {t.worker}) if w}
        if self.world.proxy == "" and workers and r.x.client not in workers:
            return False
        if r.x.background and self.world.proxy == "":
            return False
        known = rendered(t)
        if known and not r.x.uri.startswith(known):
            return False
        if slow:
            return r.response is not None and r.x.dur >= 5.0
        if t.deciding is not None and t.deciding.error == "status":
            return r.response is not None and r.x.status == t.deciding.status and r.x.uri == t.deciding.uri
        return r.response is None

    def _fits_other(self, o: Try, row: Row) -> bool:
        if (
            o.deciding is None
            or o.deciding.ep.index != row.x.ep.index
            or not (o.start or o.end) - 0.5 <= row.at <= o.end + 0.5
        ):
            return False
        return self._fits(o, row, o.state == "success")


# --- what proves each kind: (oracle, try, deciding request, fault) -> is the proof in the log ------------------------


def _down_said(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return any(o.said(x.at, "down", 5, x.ep.noticed_s + x.ep.interval + 5, m.name) for m in f.members)


def _no_members(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return bool(o.said(x.at, "no_members", f.end - f.start + 60, x.ep.noticed_s + x.ep.interval + 5, x.ep.pool))


def _grey(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return x.member is not None and x.answered and compare.one_fails(o.log, x)


def _slow_one(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return compare.one_slow(o.log, x.ep, x.at, f.members)


def _reset_said(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return any(s.client == f"{x.client}:{x.port}" for s in o.said(x.end, "rst", 2, 2))


def _resets(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return f.variant != "client" and (_reset_said(o, t, x, f) or (x.own and x.answered and _grey(o, t, x, f)))


def _idle(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    cuts = [c for c in o.bad if c.deciding is not None and c.deciding.ep is x.ep and c.deciding.error == "reset"
            and abs((c.deciding.end - c.deciding.at) - f.factor) <= 2]  # fmt: skip
    return _reset_said(o, t, x, f) or len(cuts) >= 3


def _misrouted(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    before = [
        r for r in o.log.near(x.ep.index, f.start - 1800, f.start) if r.response is not None and not r.x.background
    ]
    return len(before) >= 5 and x.answered


def _flapping(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return any(
        len(o.said(x.at, "down", 600, 60, m.name)) >= 2 and len(o.said(x.at, "up", 600, 60, m.name)) >= 1
        for m in f.members
    )


def _failed_over(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return bool(o.said(x.end, "standby", 40, 12) or o.said(x.end, "active", 40, 20))


def _changed(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    if not [s for s in o.said(f.start, "change", 3, 3, x.ep.vs) if s.fault == f.id]:
        return False
    before = [
        r
        for r in o.log.near(x.ep.index, f.start - 300, f.start - 0.5)
        if r.response is not None and (r.x.status or 500) < 400
    ]
    after = o.log.near(x.ep.index, f.start, min(x.at + 60, f.end))
    return len(before) >= 3 and sum(r.response is None or r.x.own for r in after) >= 0.8 * len(after)


def _exhausted(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return bool(o.said(x.at, "ports", 5, 5, x.ep.pool) or o.said(x.at, "limit", 5, 5, x.ep.vs))


def _blocked(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return bool([s for s in o.said(x.at, "waf", 3, 3, x.ep.vs) if s.client == f"{x.client}:{x.port}"]) or (
        x.own and x.status == 403
    )


def _overloaded(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return bool(o.said(x.at, "overload", 60, 30))


def _service(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return compare.all_fail(o.log, x) if not f.cause.endswith("slow") else compare.all_slow(o.log, x)


def _refused(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    well = [
        r
        for r in o.log.near(x.ep.index, x.at - 120, x.at + 120)
        if r.response is not None and (r.x.status or 500) < 400
    ]
    return x.answered and len(well) >= 3


def _too_short(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    usual = compare.usual(o.log, x)
    return usual is not None and usual >= 0.8 * f.factor


def _bigger(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return o.world.template != "ts" and x.answered and compare.bigger(o.log, x)


def _all_slow(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return compare.all_slow(o.log, x)


def _path_slow(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    if f.variant == "server":
        return _all_slow(o, t, x, f)
    return f.variant == "member" and _slow_one(o, t, x, f)


def _gone(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return not x.answered and x.asked


def _said_reset(o: Oracle, t: Try, x: Exchange, f: Fault) -> bool:
    return _reset_said(o, t, x, f) and not o.world.makes_own_errors


Proof = Callable[[Oracle, Try, Exchange, Fault], bool]
PROOFS: dict[str, Proof] = {
    "N1": _down_said, "N2": _grey, "N3": _no_members, "N4": _slow_one, "N5": _said_reset, "N6": _grey, "N7": _resets,
    "N8": _idle, "N10": _misrouted, "N12": _flapping, "N13": _failed_over, "N14": _changed, "N15": _exhausted, "N16": _gone,
    "N17": _path_slow, "N18": _blocked, "N19": _gone, "N20": _overloaded, "A5": _service, "A6": _refused, "A8": _too_short,
    "A9": _bigger, "A10": _all_slow, "A12": _service,
}  # fmt: skip
