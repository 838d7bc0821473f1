"""The plan of a whole pretraining, from one step, as JSON and as a table."""

import collections

from micron_jax.planning.chips import GIB, Topology
from micron_jax.planning.steps import StepCost, TooLarge
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import train_flops

_FLOORS = {
    "compute": "its arithmetic",
    "hbm": "its memory traffic (of which what stays on the chip is free)",
    "interconnect": "its interconnect",
}


def floors(step: StepCost, topology: Topology) -> dict[str, float]:
    """The least seconds of a step for each resource, were it alone and at its peak."""
    chip = topology.chip
    return {
        "compute": step.flops / chip.flops,
        "hbm": step.bytes / chip.hbm_bandwidth,
        "interconnect": sum(c.sent for c in step.collectives) / chip.link_bandwidth,
    }


def make_report(
    config: PretrainConfig, topology: Topology, step: StepCost | TooLarge, *, frames: float
) -> dict:
    """The plan as plain values, times in seconds, sizes in bytes.

    Of a step that the compiler could not place, most is None or left out. Each of the corpus's
    `frames` is one pair an epoch.
    """
    report = {
        "topology": topology.name,
        "devices": topology.count,
        "method": "compiled",
        "fits": step.fits,
        "hbm_bytes": step.available,
        "peak_bytes": step.needed,
        "batch_size": config.batch_size,
        "batch_per_device": config.batch_size // topology.count,
    }
    if isinstance(step, TooLarge):
        return report | {"flops": None, "bytes": None, "collectives": [], "floor_seconds": None}
    seconds = floors(step, topology)
    floor = max(seconds.values())
    useful = config.batch_size * train_flops(config.model, config.views, config.objective)
    steps = frames * config.epochs / config.batch_size
    hours = steps * floor / 3600
    counts, sizes = collections.Counter(), collections.Counter()
    for collective in step.collectives:
        counts[collective.op] += collective.count
        sizes[collective.op] += collective.bytes
    return report | {
        "method": "compiled" if step.compiled else "estimated",
        **{
            name: getattr(step, name) for name in ("memory", "parameters", "mesh", "flops", "bytes")
        },
        "collectives": [{"op": op, "count": n, "bytes": sizes[op]} for op, n in counts.items()],
        "floors": seconds,
        "floor_seconds": floor,
        "bound_by": max(seconds, key=seconds.get),
        "mfu_at_floor": useful / (topology.count * topology.chip.flops * floor),
        "pretraining": {
            "frames": frames,
            "epochs": config.epochs,
            "steps": steps,
            "hours": hours,
            "chip_hours": hours * topology.count,
        },
    }


def table(report: dict, topology: Topology) -> str:
    """The report of a step that was placed, for people."""
    r, mesh, total = report, report["mesh"], report["pretraining"]
    fits = "fits" if r["fits"] else "DOES NOT FIT"
    rows = {
        "devices": f"{r['devices']} x {topology.name.partition(':')[0]}, data {mesh['data']} x "
        f"fsdp {mesh['fsdp']}; {topology.chip.source}",
        "parameters": f"{r['parameters'] / 1e6:.1f} M",
        "batch": f"{r['batch_size']}, {r['batch_per_device']} a device",
        **{kind: f"{size / GIB:8.3f} GiB a device" for kind, size in r["memory"].items()},
        "peak memory": f"{r['peak_bytes'] / GIB:8.3f} of {r['hbm_bytes'] / GIB:.1f} GiB: {fits}",
        "FLOPs a step": f"{r['flops'] / 1e12:8.3f} T a device",
        "bytes a step": f"{r['bytes'] / 1e9:8.3f} GB a device",
    }
    for each in r["collectives"]:
        rows[each["op"]] = f"{each['count']} x, {each['bytes'] / 1e6:.1f} MB a step"
    if not r["collectives"]:
        rows["collectives"] = "none"
    rows |= {f"floor, {kind}": f"{1e3 * value:8.2f} ms" for kind, value in r["floors"].items()}
    rows["a step takes"] = (
        f"{1e3 * r['floor_seconds']:8.2f} ms or more, by {_FLOORS[r['bound_by']]}; "
        f"MFU {r['mfu_at_floor']:.0%} or less"
    )
    rows["pretraining"] = (
        f"{total['frames']:.3g} frames x {total['epochs']:g} epochs, {total['steps']:.0f} steps: "
        f"{total['hours']:.1f} hours or more, {total['chip_hours']:.0f} chip-hours"
    )
    if largest := r.get("largest_batch_per_device"):
        rows["largest batch"] = f"{largest} a device, {largest * r['devices']} in all"
    title = f"{topology.name}, compiled for it"
    if r["method"] == "estimated":
        title = f"{topology.name}, AN ESTIMATE by formulas, nothing was compiled"
        title += ", as if NVLink joined all nodes" if topology.count > 8 else ""
    return "\n".join([title, *(f"{name:<20}{value}" for name, value in rows.items())])
