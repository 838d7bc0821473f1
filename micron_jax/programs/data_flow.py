"""`micron-jax data flow`: optical flow of a built set, as recognition networks read it."""

import argparse
import functools

from micron_jax.programs.arguments import add_command
from micron_jax.programs.stopping import keeping

EXAMPLES = """
  micron-jax data flow --set casme2 --data-dir DIR --output casme2_flow.npz
  micron-jax data flow --set casme2 --data-dir DIR --output pictures --phases both --method dis
"""


def add(commands) -> None:
    """Adds the command to those of `micron-jax data`."""
    text = "write optical flow (u, v) and strain of a built set, 28 px, as numbers or pictures"
    parser = add_command(commands, "flow", text, EXAMPLES, _flow)
    parser.option("--set", "a built set (casme2)", required=True, metavar="NAME")
    parser.option("--data-dir", required=True)
    parser.option(
        "--output",
        "FILE.npz: numbers, for --config.features of `micron-jax finetune`; else a folder to make: "
        "pictures, each channel stretched (red u, green v, blue strain)",
    )
    parser.option("--method", "of the flow", choices=("tvl1", "farneback", "dis"), default="tvl1")
    parser.option(
        "--phases",
        "between which frames; apex-offset needs a set with all frames (--keep clip)",
        choices=("onset-apex", "apex-offset", "both"),
        default="onset-apex",
    )
    parser.option("--crop")
    parser.flag("--register", "first move the later frame onto the earlier one, and match light")


def _flow(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from micron_jax.datasets.flow_features import FlowConfig, write_flow

    config = FlowConfig(options.method, options.phases, options.crop, options.register)
    progress = functools.partial(tqdm, desc="flow", unit=" clips")
    with keeping("clips that are done"):
        count = write_flow(options.data_dir, options.set, options.output, config, progress=progress)
    print(f"flow of {count:,} clips ({options.method}, {options.phases}): {options.output}")
    return 0
