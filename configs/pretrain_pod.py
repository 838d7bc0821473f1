"""Micron-BERT as the paper describes it, for a TPU slice of 256 chips.

    micron-jax plan --config configs/pretrain_pod.py --topology v5e:16x16
    micron-jax pretrain --config configs/pretrain_pod.py --workdir runs/pod \
        --config.data.data_dir=DIR

`pretrain_paper` with a batch of 4096 (ours): 16 pairs a chip, the learning rate by the linear rule.
Chosen over that recipe's 256, which leaves a chip of v5e:16x16 one pair: 1.2 ms of arithmetic at
peak against 1 ms in which gradients cross the slice. `plan` for 16 pairs a chip: 2.7 of 16 GiB; 4.1
TFLOP and 19 GB a chip and step; three all-reduces, 79 MB together; floors of 21 ms (arithmetic),
24 ms (memory, as the compiler counts bytes), 1 ms (interconnect).

Hardware: v5e:16x16; with 8 million frames 390625 steps, 2.6 hours or more by that floor. No result
of a whole run is claimed yet.
"""

import runpy
from pathlib import Path

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    paper = Path(__file__).with_name("pretrain_paper.py")
    config = runpy.run_path(str(paper))["get_config"]()
    config.batch_size = 4096
    return config
