"""What a step's figures mean for a whole pretraining, as JSON and as a table."""

import collections

from micron_jax.planning.chips import GIB, Topology
from micron_jax.planning.steps import Step, TooLarge
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import train_flops


def floors(step: Step, topology: Topology) -> dict[str, float]:
    """Seconds a step needs at the very least for each thing, were it alone and at its peak."""
    chip = topology.chip
    return {
        "compute": step.flops / chip.flops,
        "hbm": step.bytes / chip.hbm_bandwidth,
        "interconnect": sum(c.sent for c in step.collectives) / chip.link_bandwidth,
    }


def make_report(config: PretrainConfig, topology: Topology, step: Step, *, frames: float) -> dict:
    """The plan as plain values, times in seconds, sizes in bytes.

    Args:
      frames: of the corpus; each is one pair an epoch.
    """
    seconds = floors(step, topology)
    floor = max(seconds.values())
    useful = config.batch_size * train_flops(config.model, config.views, config.objective)
    steps = frames * config.epochs / config.batch_size
    hours = steps * floor / 3600
    counted = collections.defaultdict(lambda: [0, 0])
    for found in step.collectives:
        counted[found.op][0] += found.count
        counted[found.op][1] += found.bytes
    return {
        "topology": topology.name,
        "devices": topology.count,
        "method": "compiled" if step.compiled else "estimated",
        "fits": step.fits,
        "hbm_bytes": step.available,
        "peak_bytes": step.needed,
        "memory": step.memory,
        "parameters": step.parameters,
        "mesh": step.mesh,
        "batch_size": config.batch_size,
        "batch_per_device": config.batch_size // topology.count,
        "flops": step.flops,
        "bytes": step.bytes,
        "collectives": [
            {"op": op, "count": count, "bytes": size} for op, (count, size) in counted.items()
        ],
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


def refusal_report(config: PretrainConfig, topology: Topology, refusal: TooLarge) -> dict:
    """The plan of a step that the compiler could not place: what is not known is None."""
    return {
        "topology": topology.name,
        "devices": topology.count,
        "method": "compiled",
        "fits": False,
        "hbm_bytes": refusal.available,
        "peak_bytes": refusal.needed,
        "batch_size": config.batch_size,
        "batch_per_device": config.batch_size // topology.count,
        "flops": None,
        "bytes": None,
        "collectives": [],
        "floor_seconds": None,
    }


def table(report: dict, topology: Topology) -> str:
    """The report for people."""
    memory, floors_, run = report["memory"], report["floors"], report["pretraining"]
    mesh, chip = report["mesh"], topology.chip
    floor_of = {
        "compute": "its arithmetic",
        "hbm": "its memory traffic (of which what stays on the chip is free)",
        "interconnect": "its interconnect",
    }
    rows = [
        (
            "devices",
            f"{report['devices']} x {topology.name.partition(':')[0]}, data {mesh['data']} x "
            f"fsdp {mesh['fsdp']}; {chip.source}",
        ),
        ("parameters", f"{report['parameters'] / 1e6:.1f} M"),
        ("batch", f"{report['batch_size']}, {report['batch_per_device']} a device"),
        *((name, f"{size / GIB:8.3f} GiB a device") for name, size in memory.items()),
        (
            "peak memory",
            f"{report['peak_bytes'] / GIB:8.3f} of {report['hbm_bytes'] / GIB:.1f} GiB: "
            + ("fits" if report["fits"] else "DOES NOT FIT"),
        ),
        ("FLOPs a step", f"{report['flops'] / 1e12:8.3f} T a device"),
        ("bytes a step", f"{report['bytes'] / 1e9:8.3f} GB a device"),
    ]
    rows += [
        (found["op"], f"{found['count']} x, {found['bytes'] / 1e6:.1f} MB a step")
        for found in report["collectives"]
    ] or [("collectives", "none")]
    rows += [(f"floor, {name}", f"{1e3 * value:8.2f} ms") for name, value in floors_.items()]
    rows += [
        (
            "a step takes",
            f"{1e3 * report['floor_seconds']:8.2f} ms or more, by {floor_of[report['bound_by']]}; "
            f"MFU {report['mfu_at_floor']:.0%} or less",
        ),
        (
            "pretraining",
            f"{run['frames']:.3g} frames x {run['epochs']:g} epochs, {run['steps']:.0f} steps: "
            f"{run['hours']:.1f} hours or more, {run['chip_hours']:.0f} chip-hours",
        ),
    ]
    if "largest_batch_per_device" in report:
        rows.append(
            ("largest batch", f"{report['largest_batch_per_device']} a device, "
             f"{report['largest_batch_per_device'] * report['devices']} in all")
        )  # fmt: skip
    title = f"{topology.name}, " + (
        "compiled for it"
        if report["method"] == "compiled"
        else "AN ESTIMATE by formulas, nothing was compiled"
        + (", as if NVLink joined all nodes" if topology.count > 8 else "")
    )
    return "\n".join([title, *(f"{name:<20}{value}" for name, value in rows)])
