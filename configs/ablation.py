"""Gain of each part: masked autoencoder, swapping, DMA, PoI, and then ours, piece by piece.

    micron-jax data synth --faces TRAIN_FACES --output train --split train --clips 4
    micron-jax data build frames --source train/CASME2-RAW --data-dir corpus --crop whole \
        --fps 200
    micron-jax data synth --faces TEST_FACES --output test --split test --keep pair \
        --amplitudes 0.5,1,2
    micron-jax data build casme2 --source test --data-dir labeled
    micron-jax bench ablation --config ablation --corpus corpus --data-dir test \
        --labeled-dir labeled --workdir runs/ablation --seeds 3

TRAIN_FACES and TEST_FACES show different people. Every row adds what it names to the row before;
each is pretrained for `steps` under every seed, its motion maps are compared with the truth of the
clips in `test`, and it is fine-tuned with a frozen network, one subject of `labeled` left out at a
time.

Hardware: 2 CPU cores. The networks are as small as possible: rows show differences between parts,
not how good each can become.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.steps = 300
    config.warmup_steps = 30
    config.pretrain = dict(
        batch_size=16,
        log_every=50,
        picture_every=100000,
        checkpoint_every=100,
        validate_every=100000,
        data=dict(delta_seconds=(5 / 200, 40 / 200), validation_clips=0.0),
        model=dict(
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
            dma_scaled=False,
            dma_diagonal=True,
            dma_gated=False,
        ),
        views=dict(swap="blocks", swap_with="gray", pair_every=4),
        objective=dict(),
        optimizer=dict(learning_rate=1e-3, base_batch_size=0, b2=0.98, clip_norm=1.0),
    )
    config.finetune = dict(
        protocol="synthetic",
        data=dict(crop="whole", registered=True),
        classifier=dict(features="cosine", pooling="grid", cells=14),
        augment=dict(flip=True, shift=0.03, crop=0.92, brightness=0.15, copies=1),
        tuning=dict(epochs=40, batch_size=32, learning_rate=3e-3, weight_decay=0.5),
        hardest=0,
    )
    # A field may be of any section of `pretrain`, or `features` of the classifier.
    config.rows = [
        ("masked autoencoder", {}),
        ("swapping, without DMA", {"views.swap_with": "ref"}),
        ("+ DMA", {"model.dma_gated": True}),
        ("+ PoI (the paper)", {"model.poi": "cosine"}),
        ("+ queries and keys tied", {"model.dma_tied": True}),
        (
            "+ known motion (ours)",
            {
                "model.displacement_width": 48,
                "views.pair_every": 4,
                "objective.displacement_weight": 1.0,
                "objective.reconstruction_weight": 0.1,
                "optimizer.b2": 0.99,
                "features": "motion",
            },
        ),
        ("control: ours, not trained", {"optimizer.learning_rate": 0.0}),
    ]
    return config
