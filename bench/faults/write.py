"""Write one planned world as a capture with its truth: `write(plan, folder)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.faults import truth, write_airflow, write_f5
from bench.faults.cases import Plan, stage
from bench.faults.confound import emit
from bench.faults.sim import Sim
from bench.faults.world import World


def write(plan: Plan, folder: Path) -> None:
    """Simulate the plan's world and write capture and truth.json into `folder`. The same plan, the same bytes."""
    world, faults = stage(plan)
    sim = Sim(world, faults)
    emitted = emit(sim)
    folder.mkdir(parents=True, exist_ok=True)
    end = max([world.end, *(t.end for t in sim.tries)]) + 20
    lines = write_f5.write(sim, emitted, folder / "f5", end)
    write_airflow.write(sim, folder / "airflow", end)
    (folder / "meta.json").write_text(json.dumps(_meta(world, end), indent=1), encoding="utf-8")
    about = {"split": plan.split, "seed": plan.seed, "endpoints": len(world.endpoints), "devices": len(world.devices),
             "airflow_version": world.version, "templates": world.template, "requests": lines, "kinds": plan.kinds,
             "loss": world.loss, "skew_s": world.skew_s}  # fmt: skip
    told = truth.truth(sim, emitted, about)
    (folder / "truth.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    extra = {"ignored": told["ignored"]}
    (folder / "truth_extra.json").write_text(json.dumps(extra), encoding="utf-8")


def _meta(world: World, end: float) -> dict[str, Any]:
    f5_from, f5_to = world.start, end
    if world.gap and world.declared_gap:  # the meta can only name one whole stretch: the gap is at an edge
        f5_from, f5_to = (world.gap[1], end) if world.gap[0] <= world.start else (world.start, world.gap[0])
    sign, offset = "-" if world.utc_offset_s < 0 else "+", abs(world.utc_offset_s) // 60
    zone = f"{sign}{offset // 60:02d}:{offset % 60:02d}"
    devices = [
        {"name": d.name, "hostname": d.hostname, "utc_offset": zone, "makes_own_errors": world.makes_own_errors}
        for d in world.devices
    ]
    if world.template == "response":
        devices[0]["template"] = [write_f5.RESPONSE]
    return {
        "name": world.name, "start": write_f5.stamp(world.start), "end": write_f5.stamp(end),
        "feeds": {"airflow": {"complete_from": write_f5.stamp(world.start), "complete_to": write_f5.stamp(end)},
                  "f5": {"complete_from": write_f5.stamp(f5_from), "complete_to": write_f5.stamp(f5_to)}},
        "airflow": {"name": world.name, "version": world.version, "api": "v2" if world.v3 else "v1"},
        "devices": devices, "workers": {} if world.proxy else world.workers,
    }  # fmt: skip
