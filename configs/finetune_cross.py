"""Cross-dataset: train on some sets of a protocol, test on another that was never seen.

    micron-jax finetune --config configs/finetune_cross.py --workdir runs/cross \
        --config.data.data_dir=DIR --config.checkpoint=CKPT

leaves each of CASME II, SAMM and SMIC-HS out in turn. One way only:
`--config.split.train_on=casme2+samm --config.split.test_on=smic_hs`.

All else is as in `finetune_loso.py`. Hardware: 2 CPU cores for a small network. No result is
claimed yet.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.protocol = "composite"
    config.seeds = 3
    config.data = dict(crop="face", registered=True)
    config.classifier = dict(features="cosine", pooling="grid", cells=14)
    config.augment = dict(flip=True, shift=0.03, crop=0.92, brightness=0.15, copies=8)
    config.tuning = dict(epochs=60, batch_size=32, learning_rate=3e-3, weight_decay=0.5)
    config.split = dict(kind="sets")
    return config
