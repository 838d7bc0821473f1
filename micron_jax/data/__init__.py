"""Pretraining's input: pairs of frames, batches, views."""
