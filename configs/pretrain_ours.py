"""Our own setting, which learns motion: `micron-tiny` is trained so.

    micron-jax data stills --faces FOLDER --output stills
    micron-jax data build frames --source stills --data-dir DIR --crop whole --size 448
    micron-jax pretrain --config pretrain_ours --workdir runs/ours --config.data.data_dir=DIR

The paper's network and objective, and beside them a motion branch that compares each patch of one
frame with the other frame in a band around its own place (`micron_jax/models/band.py`) and is
trained on known motion: an unlabeled face is warped locally by a random field, under head motion,
turns, light, noise and JPEG that differ between the two frames, and the network predicts which
patches moved by themselves, how far and in which direction (`micron_jax/data/known_motion.py`). No
label is used.

Why: the paper's objective gives the diagonal of the attention no reason to mean motion. Stills are
enough; frames of 448 px, two samples a pixel, keep noise apart from skin.

Hardware: 2 CPU cores. Everything but the motion branch is as small as possible here; on a GPU take
`--config.model.size=small --config.batch_size=64` and video.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.batch_size = 16
    config.epochs = 400
    config.log_every = 50
    config.picture_every = 1000
    config.checkpoint_every = 500
    config.validate_every = 500
    config.validation_batches = 2
    config.data = dict(delta_seconds=(1 / 30, 11 / 30), validation_clips=0.1)
    config.model = dict(
        img_size=224,
        patch_size=8,
        width=64,
        depth=2,
        heads=1,
        decoder_width=64,
        decoder_depth=1,
        decoder_heads=1,
        dma_query="ref",
        dma_key="rep",
        dma_tied=True,
        dma_diagonal=True,
        poi="cosine",
        band=(1, 2, 4),
    )
    config.views = dict(
        swap="blocks",
        pair_every=16,
        motion_crops=1,
        motion_size=112,
    )
    config.objective = dict(reconstruction_weight=0.1, motion_weight=1.0)
    config.optimizer = dict(
        learning_rate=3e-3, base_batch_size=0, warmup_epochs=20.0, b2=0.98, weight_decay=0.02,
        clip_norm=1.0,
    )  # fmt: skip
    return config
