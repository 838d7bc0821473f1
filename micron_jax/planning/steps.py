"""The train step of a config, compiled for TPUs that are not here, or estimated for GPUs."""

import contextlib
import dataclasses
import importlib.util
import os
import re
import sys
from collections.abc import Iterator

import jax
from jax.experimental import topologies

from micron_jax.errors import UserError
from micron_jax.models import attention, cpu
from micron_jax.planning import formulas, hlo
from micron_jax.planning.chips import GIB, Topology
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import train_flops
from micron_jax.training.jitted import TrainFunctions, batch_shapes, jit_functions
from micron_jax.training.sharding import make_mesh

# Without these libtpu asks the network for the kind of this machine, and locks its TPU.
_NO_TPU_HERE = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
}


@dataclasses.dataclass(frozen=True)
class StepCost:
    """Memory, arithmetic and traffic of one train step on one of the devices.

    Attributes:
      parameters: of the student, in all.
      mesh: sizes of `data` and `fsdp`.
      memory: bytes by kind. Outputs that are aliased lie where their arguments lay.
      available: bytes that a program can have.
      flops: of this device.
      bytes: read and written in memory, by the compiler's count, which takes operands of its
        fusions to come from there; an estimate counts nothing but arguments and activations.
      collectives: see `hlo.find_collectives`.
      compiled: False for an estimate.
    """

    parameters: int
    mesh: dict[str, int]
    memory: dict[str, int]
    available: int
    flops: float
    bytes: float
    collectives: list[hlo.Collective]
    compiled: bool

    @property
    def needed(self) -> int:
        """Bytes of all kinds together, each counted once."""
        return sum(self.memory.values()) - 2 * self.memory["aliased"]

    @property
    def fits(self) -> bool:
        return self.needed <= self.available


@dataclasses.dataclass(frozen=True)
class TooLarge:
    """The compiler's refusal of a step: bytes that it needs, bytes that there are."""

    needed: int
    available: int
    fits: bool = False


def prepare(topology: Topology) -> None:
    """Prepares this process to plan; jax must not have started its backends yet.

    Raises:
      UserError: libtpu is needed and not installed.
    """
    if topology.is_tpu and not importlib.util.find_spec("libtpu"):
        raise UserError(
            f"topology {topology.name}: TPU programs need libtpu; pip install '.[plan]'"
        )
    os.environ.update(_NO_TPU_HERE)
    with contextlib.suppress(RuntimeError):  # started already, as in tests
        jax.config.update("jax_platforms", "cpu")
        if not topology.is_tpu:
            jax.config.update("jax_num_cpu_devices", topology.count)


def devices_of(topology: Topology) -> list[jax.Device]:
    """Devices to lay a mesh over: of a TPU those of its compiler, of GPUs stand-ins.

    Raises:
      UserError: libtpu does not know the topology.
    """
    if not topology.is_tpu:
        return jax.devices("cpu")[: topology.count]
    options = {}
    if topology.count == 1:
        options["chips_per_host_bounds"] = (1, 1, 1)
    if topology.name.startswith("v4"):
        options["chip_config_name"] = "megacore"  # one device a chip, as v4 runs by default
    try:
        with _silent_stderr():
            return topologies.get_topology_desc(topology.name, "tpu", **options).devices
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"topology {topology.name}: libtpu refuses it ({reason})") from error


def functions_for(
    config: PretrainConfig, topology: Topology, devices: list[jax.Device]
) -> tuple[PretrainConfig, TrainFunctions, dict]:
    """(config with `attention` settled for the topology, functions, shapes of a batch)."""
    mesh = make_mesh(config.mesh, devices=devices)
    # `auto` would settle for this machine.
    platform = "tpu" if topology.is_tpu else "gpu"
    settled = attention.settle(config.model.attention, platform=platform, devices=mesh.size)
    model = dataclasses.replace(config.model, attention=settled)
    config = dataclasses.replace(config, model=model)
    functions = jit_functions(
        config, mesh, steps_per_epoch=1000, total_steps=config.total_steps(1000)
    )
    shapes = batch_shapes(config)
    sharded = jax.tree.map(lambda x: x.update(sharding=functions.batch_sharding), shapes)
    return config, functions, sharded


# XLA's least effort, with which the code of a fusion is not tuned: a block's MLP and its gradient
# then take 1.6 s of a CPU for 23, with the same FLOPs and collectives. A loop over the blocks would
# be compiled sooner, too, but takes three times the memory.
_UNTUNED = {"exec_time_optimization_effort": -1.0}


def compile_step(
    config: PretrainConfig, topology: Topology, devices: list[jax.Device], *, tuned: bool = False
) -> StepCost | TooLarge:
    """Compiles the train step of a run for the `devices_of` a TPU topology.

    `tuned` asks for the compiler's whole effort, as a run does, which takes many minutes.

    Raises:
      UserError: config and topology do not fit.
    """
    config, functions, batch = functions_for(config, topology, devices)
    try:
        with _silent_stderr(), cpu.compiled_for("tpu"):
            lowered = functions.train.lower(functions.state, batch)
            compiled = lowered.compile(None if tuned else _UNTUNED)
    except jax.errors.JaxRuntimeError as error:
        if too_large := read_refusal(str(error)):
            return too_large
        raise
    stats, costs = compiled.memory_analysis(), compiled.cost_analysis()
    memory = {
        "arguments": stats.argument_size_in_bytes,
        "temporaries": stats.temp_size_in_bytes,
        "outputs": stats.output_size_in_bytes,
        "aliased": stats.alias_size_in_bytes,
        "code": stats.generated_code_size_in_bytes,
    }
    return StepCost(
        parameters=_size(functions.state.params),
        mesh=dict(functions.batch_sharding.mesh.shape),
        memory=memory,
        available=topology.chip.hbm_bytes,
        flops=costs["flops"],
        bytes=costs["bytes accessed"],
        collectives=hlo.find_collectives(compiled.as_text(), devices=topology.count),
        compiled=True,
    )


def estimate_step(
    config: PretrainConfig, topology: Topology, devices: list[jax.Device]
) -> StepCost:
    """Estimates the train step by arithmetic; UserError if config and topology do not fit."""
    config, functions, batch = functions_for(config, topology, devices)
    samples = config.batch_size // topology.count
    state, frames = (formulas.device_bytes(x) for x in (functions.state, batch))
    gradients = formulas.device_bytes(functions.state.params)
    flops = train_flops(config.model, config.views, config.objective)
    flops += formulas.recomputed_flops(config)
    # With `accumulate`, the activations of one part, and beside its gradients their sum.
    activations = round(samples * formulas.activation_bytes(config))
    temporaries = activations // config.accumulate + round(samples * formulas.view_bytes(config))
    temporaries += gradients * (2 if config.accumulate > 1 else 1)
    parameters, mesh = _size(functions.state.params), dict(functions.batch_sharding.mesh.shape)
    memory = {"arguments": state + frames, "temporaries": temporaries}
    return StepCost(
        parameters=parameters,
        mesh=mesh,
        memory=memory | {"outputs": state, "aliased": state, "code": 0},
        available=round(0.9 * topology.chip.hbm_bytes),  # CUDA, cuDNN and fragments take the rest
        flops=samples * flops,
        bytes=2.0 * (state + gradients) + 2.0 * activations,
        collectives=formulas.exchanged(4 * parameters, mesh),
        compiled=False,
    )


def read_refusal(message: str) -> TooLarge | None:
    """Reads the compiler's complaint that memory does not suffice; None for another one."""
    size = r"([\d.]+)([KMG])"
    sizes = re.search(rf"\({size}\) exceeds available HBM \({size}\)", message) or re.search(
        rf"Used {size} of {size} hbm", message
    )
    if "RESOURCE_EXHAUSTED" not in message or not sizes:
        return None
    unit = {"K": 2**10, "M": 2**20, "G": GIB}
    return TooLarge(*(round(float(sizes[i]) * unit[sizes[i + 1]]) for i in (1, 3)))


def _size(shapes) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hides libtpu's complaints about this machine, which it writes to the process's stderr."""
    sys.stderr.flush()
    before = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
