"""Our own setting, which learns displacements: `micron-tiny` is trained so.

    micron-jax data stills --faces PORTRAITS --output source/stills --frames 5
    micron-jax data faces --source FILMS --output source/films --size 448
    micron-jax data build frames --source source --data-dir DIR --crop whole --size 448
    micron-jax pretrain --config pretrain_ours --workdir runs/ours --config.data.data_dir=DIR

The paper's network and objective, and beside them a displacement branch that says how far each
patch moved, in which direction, and how sure (`micron_jax/models/displacement.py`). It is trained
on known motion: fields of the face and of its head move a frame, and both views of it go through a
camera and a codec (`micron_jax/synthetic/known_pairs.py`). No label is needed. Stills and films are
best mixed, frames of 448 px.

Hardware: 2 CPU cores. Everything but the displacement branch is as small as possible here; on a GPU
take `--config.model.size=small --config.batch_size=64` and more video.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.batch_size = 8
    config.epochs = 2.5
    config.log_every = 50
    config.picture_every = 2000
    config.checkpoint_every = 500
    config.validate_every = 1000
    config.validation_batches = 6
    config.data = dict(delta_seconds=(1 / 30, 11 / 30), validation_clips=0.05)
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
        displacement_width=48,
    )
    config.views = dict(swap="blocks", pair_every=8)
    config.objective = dict(reconstruction_weight=0.1, displacement_weight=1.0)
    config.optimizer = dict(
        learning_rate=1.5e-3, base_batch_size=0, warmup_epochs=0.04, b2=0.99, weight_decay=0.02,
        clip_norm=1.0,
    )  # fmt: skip
    return config
