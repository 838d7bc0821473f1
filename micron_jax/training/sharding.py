"""Where arrays live: a mesh of `data` × `fsdp`, and rules for every parameter."""

import dataclasses

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.errors import UserError
from micron_jax.models.param_paths import match, path_of

BATCH = P(("data", "fsdp"))

# What the `fsdp` axis splits: of a layer that widens, its outputs; of one that narrows, its inputs.
# The optimizer's moments end in the same paths and follow.
PARTITION_RULES = (
    (r"(^|/)motion/", P()),  # small, and wide in nothing
    (r"/(qkv|fc1|to_q|to_k|to_v|patch_embed|embed)/kernel$", P(None, "fsdp")),
    (r"/(proj|fc2|fc3|pred)/kernel$", P("fsdp", None)),
    (r"head/directions$", P("fsdp", None)),
    (r"/(bias|scale|cls|positions|gain)$", P()),
    (r"(^|/)(step|count|center)$", P()),
)


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along the two axes of the mesh; -1 on one of them takes all that are left.

    Attributes:
      data: groups that hold the whole of the parameters, each with its share of the batch.
      fsdp: devices in a group, over which parameters and optimizer are split too.
    """

    data: int = -1
    fsdp: int = 1


def make_mesh(config: MeshConfig, devices=None) -> Mesh:
    """The mesh over the given devices, by default all.

    Raises:
      UserError: the devices cannot be laid out so.
    """
    devices = jax.devices() if devices is None else devices
    shape = {"data": config.data, "fsdp": config.fsdp}
    free = [axis for axis, size in shape.items() if size == -1]
    taken = 1
    for axis, size in shape.items():
        if size != -1:
            if size < 1:
                raise UserError(f"mesh.{axis}={size}: must be at least 1, or -1 for the rest")
            taken *= size
    if len(free) == 1:
        shape[free[0]] = max(len(devices) // taken, 1)
    if len(free) > 1 or shape["data"] * shape["fsdp"] != len(devices):
        raise UserError(
            f"mesh.data={config.data}, mesh.fsdp={config.fsdp}: do not lay out "
            f"{len(devices)} devices; their product must be that, with -1 for at most one"
        )
    sizes, axes, kinds = tuple(shape.values()), tuple(shape), (AxisType.Auto,) * 2
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if slices == 1:
        # `fsdp` varies fastest over devices that jax lists host by host, or, on a TPU, along the
        # links between chips: what an fsdp group gathers stays in one host where it can.
        return jax.make_mesh(sizes, axes, axis_types=kinds, devices=devices)
    if shape["data"] % slices:
        raise UserError(
            f"mesh.data={shape['data']}: is no multiple of the {slices} TPU slices, over which "
            "only the data axis goes; set mesh.fsdp lower"
        )
    within = (shape["data"] // slices, shape["fsdp"])
    grid = mesh_utils.create_hybrid_device_mesh(within, (slices, 1), devices=devices)
    return Mesh(grid, axes, axis_types=kinds)


def state_shardings(mesh: Mesh, shapes):
    """A sharding for every array of a state.

    Args:
      mesh: from `make_mesh`.
      shapes: the state as `jax.eval_shape` gives it.

    Raises:
      UserError: an axis that `fsdp` splits has a size that it does not divide.
      KeyError: a parameter that no rule covers.
    """

    def sharding(key_path, leaf):
        path = path_of(key_path)
        spec = match(PARTITION_RULES, path)
        for size, axis in zip(leaf.shape, spec, strict=False):
            if axis and size % mesh.shape[axis]:
                raise UserError(
                    f"mesh.{axis}={mesh.shape[axis]}: does not divide an axis of {path}, "
                    f"shape {leaf.shape}"
                )
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(sharding, shapes)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Samples spread over all devices, along the first axis."""
    return NamedSharding(mesh, BATCH)
