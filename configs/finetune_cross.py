"""Cross-dataset: train on some sets of a protocol, test on another that was never seen.

    micron-jax finetune --config configs/finetune_cross.py --workdir runs/cross \
        --config.data.data_dir=DIR --config.checkpoint=CKPT

leaves each of CASME II, SAMM and SMIC-HS out in turn. One way only:
`--config.split.train_on=casme2+samm --config.split.test_on=smic_hs`.

All else is as in `finetune_loso.py`. Hardware: 2 CPU cores for a small network. No result is
claimed yet.
"""

import runpy
from pathlib import Path

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    loso = Path(__file__).with_name("finetune_loso.py")
    config = runpy.run_path(str(loso))["get_config"]()
    config.protocol = "composite"
    config.split.kind = "sets"
    return config
