"""Micron-BERT in PyTorch: reads converted folders, computes as the JAX network does, needs no jax.

`micron_jax.torch.load(folder)` gives a `torch.nn.Module`; the extra `torch` installs what it needs.
"""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, reading="load", micron_bert="MicronBert")
