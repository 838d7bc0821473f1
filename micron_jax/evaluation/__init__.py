"""Evaluation of predictions: metrics, intervals, paired tests, the report."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    prediction="Prediction",
    predictions="read_predictions",
    summary="summarize",
    significance="compare",
    report="write_report",
    spotting_tables="read_detections",
    spotting_metrics="summarize_spotting",
)
