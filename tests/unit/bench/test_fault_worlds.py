"""The simulator of the fault bench: the same seed the same bytes, twins that differ only by the fault, a truth for each kind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bench.faults import truth
from bench.faults.cases import SPLITS, Plan, plans, stage
from bench.faults.confound import Emitted, emit
from bench.faults.inject import EFFECTS, Fault
from bench.faults.kinds import KINDS, UNSEEN
from bench.faults.oracle import PROOFS
from bench.faults.pick import CHOICES
from bench.faults.sim import Sim
from bench.faults.traffic import Exchange
from bench.faults.world import World
from bench.faults.write import write
from tests.unit.bench.fault_worlds import a_fault, a_world


def test_every_kind_has_its_effect_its_choice_and_its_twin() -> None:
    acts = {kind for kind, _ in EFFECTS} | {"A1", "A2", "A3", "A4", "A7", "A8", "A13"}  # on the task or the scheduler

    assert acts == set(CHOICES) == set(KINDS) - {"H1"}
    assert set(PROOFS) <= set(KINDS)
    assert all(KINDS[kind.twin].code for kind in KINDS.values() if kind.code != "H1")
    assert all((kind.culprit == "route") is (kind.code[0] == "N") for kind in KINDS.values() if kind.code != "N17")


def test_the_same_plan_writes_the_same_bytes(tmp_path: Path) -> None:
    plan = Plan("dev-5-000", "dev", 5, ("N3",), ("late", "loss", "one_request"))
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        write(plan, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digests.append([(path.relative_to(folder), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])

    assert digests[0] == digests[1]
    assert json.loads((tmp_path / "a" / "meta.json").read_text())["name"] == "dev-5-000"


def _done(x: Exchange) -> tuple[object, ...]:
    return x.at, x.client, x.port, x.uri, x.member and x.member.name, x.status, x.dur, x.bytes, x.error


def test_a_twin_differs_only_by_the_fault() -> None:
    world = a_world("A5")
    fault = a_fault(world, "A5")
    assert fault.ep is not None
    with_it, without = Sim(world, [fault]), Sim(world, [])

    def kept(sim: Sim) -> list[tuple[object, ...]]:
        early = [x for x in sim.exchanges if x.at < fault.start]
        elsewhere = [x for x in sim.exchanges if x.who == "other" and (x.ep is not fault.ep or x.at >= fault.end)]
        return [_done(x) for x in (*early, *elsewhere)]

    assert kept(with_it) == kept(without)
    assert [t.key for t in without.tries if t.end < fault.start] == [
        t.key for t in with_it.tries if t.end < fault.start
    ]
    assert any(x.status == fault.status for x in with_it.exchanges) and not any(
        x.status == 503 for x in without.exchanges
    )


def test_a_healthy_world_has_no_bad_try_but_its_own_bugs() -> None:
    world = a_world("N1")
    sim = Sim(world, [])

    assert {row["cause"] for row in truth.truth(sim, Emitted(), {})["tries"]} <= {"task_error"}


def test_what_was_not_logged_cannot_be_told() -> None:
    world = a_world("N2")
    fault = a_fault(world, "N2")
    fault.variant, fault.status, fault.share = "status", 500, 1.0
    sim = Sim(world, [fault])
    world.loss = 1.0
    rows = truth.truth(sim, emit(sim), {})["tries"]

    mine = [row for row in rows if row["fault"] == "F01"]
    assert mine and all(row["culprit"] == "unknown" and not row["identifiable"] for row in mine)
    assert {row["really"]["cause"] for row in mine} == {"member_grey"}


def test_without_headers_no_more_can_be_told_than_with_them() -> None:
    world = a_world("A5")
    fault = a_fault(world, "A5")
    fault.share = 0.5
    sim = Sim(world, [fault])
    named = truth.truth(sim, emit(sim), {})["tries"]
    world.headers, world.proxy = False, "10.45.0.2"
    bare = truth.truth(sim, emit(sim), {})["tries"]

    assert named and sum(row["identifiable"] for row in bare) <= sum(row["identifiable"] for row in named)
    assert [row["culprit"] for row in bare] == [row["culprit_no_header"] for row in bare]


def test_the_tuned_splits_hold_no_unseen_kind_and_no_two_splits_a_world() -> None:
    found = {split: plans(split, 1, "small") for split in SPLITS}

    assert not {kind for split in SPLITS[:2] for plan in found[split] for kind in plan.kinds} & set(UNSEEN)
    assert set(UNSEEN) <= {kind for plan in found["held_out"] for kind in plan.kinds}
    assert len({plan.name for plans_ in found.values() for plan in plans_}) == sum(map(len, found.values()))
    assert sum(len(plan.kinds) for split in SPLITS[:3] for plan in found[split]) == 600
    assert len({kind for plan in found["storms"] for kind in plan.kinds}) > 8
    assert sum(len(plan.kinds) for split in SPLITS for plan in plans(split, 1, "full")) >= 3500
    assert stage(found["dev"][0])[0].start == stage(found["dev"][0])[0].start


def test_the_table_of_kinds_in_the_docs_is_this_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "faultbench.md").read_text(encoding="utf-8")
    rows = [
        f"| {k.code} | {k.name} | {k.culprit or '-'} | {f'`{k.cause}`' if k.cause else '-'} "
        f"| {', '.join(f'`{c}`' for c in k.accepted) or '-'} | {f'`{k.untold}`' if k.untold else '-'} | {k.twin or '-'} |"
        for k in KINDS.values()
    ]

    assert "\n".join(rows) in text


def _caused(world: World, *faults: Fault) -> tuple[list[dict[str, Any]], list[Any]]:
    sim = Sim(world, list(faults))
    found = truth.truth(sim, emit(sim), {})
    return [row for row in found["tries"] if row["fault"]], found["ignored"]


def test_who_goes_badly_without_the_fault_too_is_not_put_down_to_it() -> None:
    world = a_world("A5")
    one, other = a_fault(world, "A5"), a_fault(world, "A5")
    one.share = other.share = 1.0
    other.id, other.ep, other.start, other.end = "F02", one.ep, one.start, one.end
    alone, _ = _caused(world, one)
    both, ignored = _caused(world, one, other)

    assert alone and both == []
    assert len(ignored) >= len(alone)


def test_a_503_of_the_device_itself_says_nothing_of_a_member() -> None:
    world = a_world("N5")
    world.makes_own_errors = True
    rows, _ = _caused(world, a_fault(world, "N5"))

    assert {code for row in rows for code in row["accepted"] if row["identifiable"]} == {
        "reset_by_f5", "no_member", "unanswered"
    }  # fmt: skip


def test_a_change_that_is_logged_is_named_whoever_made_the_504() -> None:
    world = a_world("N14")
    world.makes_own_errors = True
    fault = a_fault(world, "N14")
    fault.variant = "snat"
    rows, _ = _caused(world, fault)

    told = [row["accepted"] for row in rows if row["cause"] == "config_change"]
    assert told and all(codes == ["config_change", "reset_by_f5"] for codes in told)


def test_a_delay_on_the_clients_side_is_the_routes_though_no_log_tells_it() -> None:
    world = a_world("N17")
    fault = a_fault(world, "N17")
    fault.variant, fault.cause, fault.factor = "client", "undecided", 25.0
    rows, _ = _caused(world, fault)

    assert rows and {(row["culprit"], row["really"]["culprit"]) for row in rows} == {("unknown", "route")}
