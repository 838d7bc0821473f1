"""Launchers of several processes: what they tell of the address, the ranks and the GPUs."""

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax._src import clusters

from micron_jax.errors import UserError

_ADDRESS = re.compile(r"(\[[^\]]+\]|[^:\[\]]*):\d{1,5}")  # with brackets, of IPv6


def cluster(environ: Mapping[str, str]) -> str | None:
    """Names the launcher of this process as one of several: `slurm`, `ompi`, `tpu`, or None.

    A SLURM or MPI job of one task is no cluster: jax would hide all of its GPUs but one.
    """
    if int(environ.get("SLURM_NTASKS", 1)) > 1 and "SLURM_STEP_NODELIST" in environ:
        return "slurm"
    if int(environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
        return "ompi"
    if (environ.get("JAX_PLATFORMS") or "tpu").split(",")[0] != "tpu":
        return None
    several = "," in environ.get("TPU_WORKER_HOSTNAMES", "")
    if several or int(environ.get("MEGASCALE_NUM_SLICES") or 1) > 1:
        return "tpu"
    # jax asks the network how many VMs a Compute Engine TPU has.
    chips = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    asks = "TPU_SKIP_MDS_QUERY" not in environ
    return "tpu" if chips and asks and importlib.util.find_spec("libtpu") else None


def rank(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """(number of processes, number of this one) from SLURM or Open MPI, or None."""
    names = {
        "slurm": ("SLURM_NTASKS", "SLURM_PROCID"),
        "ompi": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    }.get(cluster(environ))
    return tuple(int(environ[name]) for name in names) if names else None


def own_gpus(environ: Mapping[str, str]) -> list[int] | None:
    """GPUs of a SLURM task that has its node to itself, or of one that sees only its own.

    None leaves the choice to jax, which gives the n-th task of a node the n-th GPU.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    count = len(visible.split(",")) if visible else int(environ.get("SLURM_GPUS_ON_NODE") or 0)
    alone = environ.get("SLURM_STEP_TASKS_PER_NODE", "").partition("(")[0] == "1"
    return list(range(count)) if count and (alone or count == 1) else None


def place(
    coordinator: str | None, processes: int | None, process: int | None, seconds: float
) -> dict[str, Any] | None:
    """The place of this process among others, for `jax.distributed.initialize`.

    Args:
      coordinator, processes, process: see `hosts.initialize`.
      seconds: to wait for an address that a launcher looks up.

    Returns:
      coordinator_address, num_processes, process_id and local_device_ids; None: it is alone.

    Raises:
      UserError: the three do not fit, or the launcher tells too little.
    """
    launcher = cluster(os.environ)
    if coordinator is not None and not _ADDRESS.fullmatch(coordinator):
        raise UserError(f"coordinator={coordinator}: must be HOST:PORT, or :PORT under a launcher")
    if coordinator is None or coordinator.startswith(":"):
        if processes is not None or process is not None:
            raise UserError("processes and process need coordinator=HOST:PORT, of process 0")
        if launcher is None and coordinator:
            raise UserError(f"coordinator={coordinator}: no launcher here names the host: add it")
        if launcher is None:
            return None
        options = _as_launched(launcher, seconds)
        if coordinator:
            host = options["coordinator_address"].rpartition(":")[0]
            options["coordinator_address"] = f"{host}{coordinator}"
        return options
    own = processes is not None
    processes, process = _checked_ranks(processes, process)
    gpus = _gpus(os.environ) if launcher == "slurm" and not own else None
    return dict(
        coordinator_address=coordinator,
        num_processes=processes,
        process_id=process,
        local_device_ids=gpus,
    )


def _as_launched(launcher: str, seconds: float) -> dict[str, Any]:
    """What the launcher tells, as jax reads it; jax has no public function for this alone."""
    if launcher == "ompi" and "OMPI_MCA_orte_hnp_uri" not in os.environ:
        raise UserError("this Open MPI names no process 0: give coordinator=HOST:PORT")
    gpus = own_gpus(os.environ) if launcher == "slurm" else None
    names = ("coordinator_address", "num_processes", "process_id", "local_device_ids")
    detect = clusters.ClusterEnv.auto_detect_unset_distributed_params
    try:
        options = dict(zip(names, detect(None, None, None, gpus, None, int(seconds)), strict=True))
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{launcher}: tells no address of process 0 ({error})") from error
    if None in [options[name] for name in names[:3]]:
        mend = "give coordinator=HOST:PORT, processes and process"
        raise UserError(f"{launcher}: tells too little of this job; {mend}")
    return options


def _gpus(environ: Mapping[str, str]) -> list[int] | None:
    """GPUs of a SLURM task; of several on a node, the n-th has the n-th."""
    local = environ.get("SLURM_LOCALID")
    return own_gpus(environ) or ([int(local)] if local else None)


def _checked_ranks(processes: int | None, process: int | None) -> tuple[int, int]:
    if (processes is None) != (process is None):
        raise UserError("processes and process: give both, or neither")
    if processes is None:
        if (ranks := rank(os.environ)) is None:
            raise UserError("coordinator: needs processes and process with it")
        processes, process = ranks
    if not 0 <= process < processes:
        raise UserError(f"process={process}: must be 0 to {processes - 1}")
    return processes, process
