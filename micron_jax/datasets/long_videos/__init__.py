"""Long videos with macro- and micro-expressions: the truth of spotting, from the owners' sheets."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    truth="Expression Truth Video read_truth write_truth",
    catalog="LONG_SETS long_set",
    build="build_truth truth_of",
    check="check_truth",
)
