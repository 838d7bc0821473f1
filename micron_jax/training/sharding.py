"""A mesh of `data` × `fsdp`, and ordered rules that shard every array of a state over it."""

import dataclasses

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.checks import require
from micron_jax.errors import UserError
from micron_jax.models.param_paths import match, path_of

BATCH = P(("data", "fsdp"))

# `fsdp` splits the outputs of a layer that widens, and the inputs of one that narrows. The paths of
# the optimizer's moments end alike, and follow.
PARTITION_RULES = (
    (r"(^|/)(motion|displacement)/", P()),  # small, and wide in nothing
    (r"/(qkv|fc1|to_q|to_k|to_v|patch_embed|embed)/kernel$", P(None, "fsdp")),
    (r"/(proj|fc2|fc3|pred)/kernel$", P("fsdp", None)),
    (r"head/directions$", P("fsdp", None)),
    (r"/(bias|scale|cls|positions|gain)$", P()),
    (r"(^|/)(step|count|center)$", P()),
)


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along the two axes of the mesh; -1 on one of them takes the rest.

    Attributes:
      data: groups, each with the whole of the parameters and a share of the batch.
      fsdp: devices in a group, over which parameters and optimizer state are split.
    """

    data: int = -1
    fsdp: int = 1


def make_mesh(config: MeshConfig, devices=None) -> Mesh:
    """The mesh over the given devices, by default all.

    Raises:
      UserError: the devices cannot be laid out so.
    """
    devices = jax.devices() if devices is None else devices
    shape = dataclasses.asdict(config)
    for axis, size in shape.items():
        valid = size >= 1 or size == -1
        require(valid, "config.mesh", config, axis, "must be at least 1, or -1 for the rest")
    rest = max(len(devices) // abs(config.data * config.fsdp), 1)
    shape = {axis: rest if size == -1 else size for axis, size in shape.items()}
    if config.data == config.fsdp == -1 or shape["data"] * shape["fsdp"] != len(devices):
        raise UserError(
            f"config.mesh.data={config.data}, config.mesh.fsdp={config.fsdp}: do not lay out "
            f"{len(devices)} devices; their product must be that, with -1 for at most one"
        )
    sizes, axes, kinds = tuple(shape.values()), tuple(shape), (AxisType.Auto,) * 2
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if slices == 1:
        # `fsdp` varies fastest over devices that jax lists host by host, or, on a TPU, along the
        # links between chips: an fsdp group gathers within one host where it can.
        return jax.make_mesh(sizes, axes, axis_types=kinds, devices=devices)
    if shape["data"] % slices:
        raise UserError(
            f"config.mesh.data={shape['data']}: is no multiple of the {slices} TPU slices, over "
            "which only the data axis goes; set config.mesh.fsdp lower"
        )
    within = (shape["data"] // slices, shape["fsdp"])
    grid = mesh_utils.create_hybrid_device_mesh(within, (slices, 1), devices=devices)
    return Mesh(grid, axes, axis_types=kinds)


def state_shardings(mesh: Mesh, shapes):
    """Shardings of a state, a tree as `shapes`, which `jax.eval_shape` returns.

    Raises:
      UserError: `fsdp` does not divide an axis that it splits.
      KeyError: no rule covers a parameter.
    """

    def sharding(key_path, leaf):
        path = path_of(key_path)
        spec = match(PARTITION_RULES, path)
        for size, axis in zip(leaf.shape, spec, strict=False):
            if axis and size % mesh.shape[axis]:
                raise UserError(
                    f"config.mesh.{axis}={mesh.shape[axis]}: does not divide an axis of {path}, "
                    f"shape {leaf.shape}"
                )
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(sharding, shapes)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a batch: its first axis is spread over all devices."""
    return NamedSharding(mesh, BATCH)
