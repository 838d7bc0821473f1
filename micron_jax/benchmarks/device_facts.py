"""Worker process: the device of this machine, and the versions of what drives it."""

import contextlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

from micron_jax.files import write_json
from micron_jax.training.flops import peak_flops

_PACKAGES = ("jax", "jaxlib", "flax", "torch", "timm", "jax-cuda12-plugin", "jax-cuda13-plugin")


def facts() -> dict:
    """Returns {"platform", "device", "count", "memory", "peak_flops", "driver", "torch_sees",
    "python", "versions"}; memory in bytes, FLOP/s of dense bfloat16 products; None: unknown."""
    import jax

    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "count": jax.device_count(),
        "memory": stats.get("bytes_limit"),
        "peak_flops": peak_flops(device.device_kind),
        "driver": _driver(),
        "torch_sees": _torch_device(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        process = subprocess.run(query, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip().partition("\n")[0] or None


def _torch_device() -> str | None:
    try:
        import torch
    except Exception:  # missing, or it does not fit the machine
        return None
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"


if __name__ == "__main__":
    write_json(Path(sys.argv[1]), facts())
