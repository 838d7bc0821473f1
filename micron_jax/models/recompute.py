"""Memory for arithmetic: what a gradient computes again instead of keeping it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def after(tree, done):
    """The same floats, which nothing can compute with before all of `done` is there.

    `jax.lax.optimization_barrier` means the same, but XLA for CPUs drops it before it puts the
    operations in order. Here a multiple of zero is added, which no compiler may leave out of a sum
    of floats.

    Args:
      tree, done: of arrays; those of `tree` that hold no floats stay as they are.
    """
    nothing = sum(0 * x.reshape(-1)[0].astype(jnp.float32) for x in jax.tree.leaves(done))

    def wait(x):
        return x + nothing.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(wait, tree)


def recomputed(function: Callable) -> Callable:
    """The same function, whose gradient keeps its arguments alone and computes the rest again.

    `jax.checkpoint` means the same. Yet XLA for CPUs drops its optimization barriers, so that what
    hangs on nothing but kept arrays is computed again at once, early, and kept after all. Here it
    hangs on the gradient that comes back, too (see `after`). Of a chain of eight layers' GELUs it
    took 405 MB and takes 159.

    Args:
      function: of arrays, the first [..., D]; its result is [..., E].

    Returns:
      A function of the same arguments, which has a gradient and no forward derivative.
    """

    @jax.custom_vjp
    def same(*arguments):
        return function(*arguments)

    def forward(*arguments):
        return function(*arguments), arguments

    def backward(arguments, gradient):
        first, *rest = arguments
        # Row by row: a compiler may then fuse it.
        first = first + 0 * gradient[..., :1].astype(first.dtype)
        return jax.vjp(function, first, *rest)[1](gradient)

    same.defvjp(forward, backward)
    return same
