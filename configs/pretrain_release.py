"""Micron-BERT as the PyTorch release builds it: full cross-attention and DINO agreement.

    micron-jax pretrain --config configs/pretrain_release.py --workdir runs/release \
        --config.data.data_dir=DIR

Model, agreement, the agreement's schedules, what is decayed and the 200 epochs follow the release's
code. Not in it, and therefore ours: the swap (its `random_replace` is never called; uniform
patches, half of them), the crops' scales, δ, the held-out clips, the batch (its checkpoint's name
says b16), the optimizer (MAE's 1.5e-4 for 256 samples, by the linear rule, and its decay; DINO's
10 epochs of warm-up, clipping at 3 and teacher momentum of 0.996) and that the teacher begins as a
copy of the student, which its code overwrites.

Hardware: a step takes about 455 GFLOP a sample; meant for a GPU with 40 GB or more, or a TPU slice.
On a CPU use `--config.batch_size=2 --config.epochs=1 --config.model.dtype=float32` to see it run.
No result of a whole run is claimed yet.
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
        dma_query="rep",
        dma_key="ref",
        dma_scaled=True,
        dma_diagonal=False,  # True for a checkpoint whose args say diag_att=True
        poi="none",
        projection_dim=128,
        dtype="bfloat16",
    )
    config.views = dict(
        swap="uniform",
        swap_ratio=0.5,
        global_crops=2,
        global_scale=(0.4, 1.0),
        local_crops=8,
        local_size=96,
        local_scale=(0.05, 0.4),
    )
    config.objective = dict(
        agreement="dino",
        teacher_temperature_start=0.04,
        teacher_temperature=0.04,
        teacher_temperature_epochs=0,
        teacher_momentum=0.996,
    )
    config.optimizer = dict(
        learning_rate=1.5e-4, base_batch_size=256, warmup_epochs=10.0, weight_decay=0.05,
        clip_norm=3.0,
    )  # fmt: skip
    return config
