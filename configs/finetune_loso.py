"""Leave one subject out on any protocol: a linear head on a frozen Micron-BERT.

    micron-jax finetune --config configs/finetune_loso.py --workdir runs/casme2_5 \
        --config.data.data_dir=DIR --config.checkpoint=CKPT --config.protocol=casme2_5

Protocols: composite, casme2_3, casme2_5, samm_3, samm_5, smic_hs_3, casme3_3, casme3_4, casme3_7,
synthetic (a set of `data synth`), and own (`data build own`). DIR holds the
sets of the protocol (`micron-jax data build`).

Every fold is trained by one fixed schedule, and nothing is chosen on a test subject. To choose the
epoch on some of the training subjects: `--config.split.selection=inner`. To train more of the
network: `--config.tuning.trainable=last:1` (or all), which is slower by far, as every step computes
its features anew. The paper's own head is `--config.classifier.features=p_dma
--config.classifier.pooling=mean`. The default, `auto`, is what the displacement branch says of each
patch, or, of a checkpoint without one, the cosine distance of each patch's tokens, averaged over
parts of the face, which keeps the place of a motion. On synthetic expressions the cosine distance
scored higher (UF1 0.60) than token differences (0.37) and the symmetric map (0.45).

A checkpoint must be named; `--config.checkpoint=random` are random weights. For features of other
programs: `--config.features=FILE.npz` in place of frames and checkpoint.

For frames that a vendor has cropped: `--config.data.crop=whole`. Controls with the same folds and
head: `--config.baseline=frame_difference`, `flow`, `flow_tvl1` or `flow_farneback`;
`--config.shuffle_labels=True` (all figures must then be at chance).

`--config.keyframe_errors=1,2,4` tests each fold once more with onset and apex moved;
`--config.target=units` learns action units in place of emotions.

Hardware: 2 CPU cores for a small network; the heads alone take seconds. No result on a benchmark
is claimed yet.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.protocol = "casme2_5"
    config.seeds = 3
    config.data = dict(crop="face", registered=True)
    config.classifier = dict(features="auto", pooling="grid", cells=14)
    config.augment = dict(flip=True, shift=0.03, crop=0.92, brightness=0.15, copies=8)
    config.tuning = dict(
        epochs=60, batch_size=32, trainable="head", learning_rate=3e-3, weight_decay=0.5,
        class_weights="balanced",
    )  # fmt: skip
    config.split = dict(kind="subjects", selection="schedule")
    return config
