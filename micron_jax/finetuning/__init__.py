"""Fine-tuning on a benchmark, with an evaluation that tests on unseen subjects only."""

__all__ = ["FinetuneConfig", "finetune"]


def __getattr__(name: str):
    # jax takes a second to import: nobody should wait for it before it is needed.
    if name == "finetune":
        from micron_jax.finetuning.run import finetune

        return finetune
    if name == "FinetuneConfig":
        from micron_jax.finetuning.config import FinetuneConfig

        return FinetuneConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
