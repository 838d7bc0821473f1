"""Fine-tuning on a benchmark, with an evaluation that tests on unseen subjects only."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, config="FinetuneConfig", run="finetune")
