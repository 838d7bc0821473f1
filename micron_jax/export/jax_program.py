"""A computation as a program that JAX alone runs, on several platforms (`jax.export`)."""

import jax
import jax.numpy as jnp
from jax import export

from micron_jax.checks import choose
from micron_jax.errors import UserError
from micron_jax.export.computation import BATCH, Array, Computation
from micron_jax.models import cpu

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_MOST_BYTES = 2**31 - 2**20  # of a serialized program: its offsets are of 32 bits


def encode(computation: Computation, platforms: tuple[str, ...]) -> bytes:
    """The serialized program; `jax.export.deserialize(data).call(frames)` runs it.

    It takes batches of any size. For CPUs alone it holds the forms of `models.cpu`, which are
    faster there; else one form for all platforms, the one that accelerators run.

    Args:
      platforms: some of `PLATFORMS`; none of them need be here.

    Raises:
      UserError: an unknown platform, none or one twice; a network too large for the format.
    """
    for platform in platforms:
        choose("", {"platforms": platform}, platforms=PLATFORMS)
    if not platforms or len({*platforms}) < len(platforms):
        raise UserError(f"platforms={','.join(platforms)!r}: name some, each once")
    scope = export.SymbolicScope()
    inputs = [_input(array, scope) for array in computation.inputs]
    with cpu.compiled_for("cpu" if platforms == ("cpu",) else "tpu"):
        exported = export.export(jax.jit(computation.function), platforms=platforms)(*inputs)
    if len(exported.mlir_module_serialized) > _MOST_BYTES:
        raise UserError("the network takes more than 2 GB, which `jax.export` cannot write")
    return bytes(exported.serialize())


def _input(array: Array, scope: export.SymbolicScope) -> jax.ShapeDtypeStruct:
    sides = ", ".join("b" if side == BATCH else str(side) for side in array.shape)
    shape = export.symbolic_shape(sides, scope=scope)
    return jax.ShapeDtypeStruct(shape, jnp.dtype(array.dtype))
