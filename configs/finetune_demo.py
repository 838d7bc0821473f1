"""The evaluation of fine-tuning in a minute, on synthetic micro-expressions.

    micron-jax data synth --faces FOLDER --output synth
    micron-jax data build casme2 --source synth --data-dir data --keep pair
    micron-jax finetune --config configs/finetune_demo.py --workdir runs/tuned \
        --config.data.data_dir=data --config.checkpoint=runs/demo

With the weights that come with the package, whose displacement branch is then read:

    --config.checkpoint=micron-tiny

Leave one subject out, three classes, a linear head on the frozen network of the demo. A network
that has trained on two faces for minutes is hardly better than random weights
(`--config.checkpoint=random --config.model.size=tiny --config.model.img_size=112`). Optical flow
shows the motion that is there: `--config.baseline=flow`.

Hardware: 2 CPU cores.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.protocol = "synthetic"
    config.data = dict(crop="whole", registered=True)  # the set's frames are aligned crops
    config.classifier = dict(features="auto", pooling="grid", cells=14)
    config.augment = dict(flip=True, shift=0.03, crop=0.92, brightness=0.15, copies=1)
    config.tuning = dict(epochs=40, batch_size=32, learning_rate=3e-3, weight_decay=0.5)
    return config
