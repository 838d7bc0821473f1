"""A tiny Micron-BERT, close to the paper's setting, to see everything work in minutes.

    micron-jax demo --workdir runs/demo

fetches sample clips, builds a corpus of them and trains with this file. To run it on a corpus of
your own: `micron-jax pretrain --config configs/pretrain_demo.py --workdir runs/tiny
--config.data.data_dir=DIR`.

Apart from its size it differs from the paper in one thing, ours: queries and keys are tied. With
the paper's, the diagonal begins near 1/N, and in the minutes of a demo the reconstruction gets no
further than the mean color of each patch.

Hardware: 2 CPU cores. It shows the machinery and gives no model to use: two faces, 544 frames.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.batch_size = 16
    config.epochs = 12
    config.log_every = 10
    config.picture_every = 100
    config.checkpoint_every = 100
    config.data = dict(delta_seconds=(5 / 30, 11 / 30))
    config.model = dict(
        size="tiny",
        img_size=112,
        dma_query="ref",
        dma_key="rep",
        dma_scaled=False,
        dma_tied=True,
        dma_diagonal=True,
        poi="cosine",
    )
    config.views = dict(
        swap="blocks", swap_min_patches=4, local_crops=1, local_size=48, local_scale=(0.4, 1.0)
    )
    config.objective = dict(agreement="mse")
    config.optimizer = dict(learning_rate=1e-3, base_batch_size=0, warmup_epochs=1.0, clip_norm=1.0)
    return config
