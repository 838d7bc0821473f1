"""Pretraining: settings, jitted functions, loop, checkpoints and telemetry."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    config="PretrainConfig parse",
    loop="PretrainResult pretrain",
    telemetry="read_metrics",
    checkpoint="read_weights",
)
