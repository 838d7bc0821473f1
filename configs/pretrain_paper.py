"""Micron-BERT as the paper describes it (CVPR 2023, arXiv 2304.03195).

    micron-jax pretrain --config configs/pretrain_paper.py --workdir runs/paper \
        --config.data.data_dir=DIR

From the paper: Eq. 8 with queries of frame t+δ and keys of the swapped frame, unscaled; Eq. 9, the
diagonal alone; Patch of Interest; Eq. 15, MSE agreement of CLS tokens with one random crop; blocks
swapped, about half of the patches.

The paper leaves open, and therefore ours: the score S of a patch (cosine with the CLS token, over a
softmax, whose scores of about 1/N slow reconstruction); block sizes (BEiT's, over uniform patches);
γ = β = 1; δ of 1/6 to 11/30 s (5 to 11 frames at 30 per second), by the frames' own times; the
crop's scale (0.4 to 1 of the area) and size (96 px); that both CLS tokens of Eq. 15 get gradients;
the held-out clips. Of batch, epochs and optimizer nothing is claimed of the paper: they are those
of `pretrain_release`.

Unscaled logits saturate in float32: with `--config.model.dma_scaled=True` they do not, and the heat
map reads out as well or better.

Hardware: a GPU with 24 GB or more, or a TPU slice. No result of a whole run is claimed yet.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.batch_size = 256
    config.epochs = 200
    config.data = dict(delta_seconds=(5 / 30, 11 / 30))
    config.model = dict(
        size="small",
        img_size=224,
        patch_size=8,
        dma_query="ref",
        dma_key="rep",
        dma_scaled=False,
        dma_diagonal=True,
        poi="cosine",
        dtype="bfloat16",
    )
    config.views = dict(
        swap="blocks",
        swap_ratio=0.5,
        swap_min_patches=16,
        swap_aspect=0.3,
        local_crops=1,
        local_size=96,
        local_scale=(0.4, 1.0),
    )
    config.objective = dict(agreement="mse", reconstruction_weight=1.0, agreement_weight=1.0)
    config.optimizer = dict(
        learning_rate=1.5e-4, base_batch_size=256, warmup_epochs=10.0, weight_decay=0.05,
        clip_norm=3.0,
    )  # fmt: skip
    return config
