"""Visualization: figures of a pair of frames and of a timeline, and the annotated video."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    folder="visualize",
    pair_figure="draw_pair",
    pairs="PairView compare_pair view_size",
    figures="draw_moments draw_timeline",
)
