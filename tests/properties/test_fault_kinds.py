"""Each kind of fault of the bench causes tries whose truth says its cause."""

from __future__ import annotations

import pytest

from bench.faults import truth
from bench.faults.confound import emit
from bench.faults.inject import Fault
from bench.faults.kinds import KINDS, culprit
from bench.faults.sim import Sim
from tests.unit.bench.fault_worlds import a_fault, a_world

pytestmark = pytest.mark.long


def told(kind: str, variant: str = "") -> tuple[list[dict[str, object]], Fault]:
    """The rows that a fault of this kind caused, of the first of five drawn ones that caused any."""
    for seed in range(5):
        world = a_world(kind)
        fault = a_fault(world, kind, variant, seed)
        sim = Sim(world, [fault])
        rows = [row for row in truth.truth(sim, emit(sim), {})["tries"] if row["fault"] == "F01"]
        if any(row["identifiable"] for row in rows):
            return rows, fault
    raise AssertionError(f"no try was told to be caused by {kind}")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "H1"])
def test_each_kind_causes_tries_that_say_its_cause(kind: str) -> None:
    rows, fault = told(kind)

    want = {fault.cause or KINDS[kind].cause, *KINDS[kind].accepted, KINDS[kind].untold, "unanswered"}
    assert {row["cause"] for row in rows if row["identifiable"]} & want
    assert all(row["kind"] == kind and row["cause"] in row["accepted"] for row in rows)
    assert all(row["culprit"] == culprit(str(row["cause"])) for row in rows)
