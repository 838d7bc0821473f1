"""CPU forms of a block's operations: attention head by head, GELU, layer norm, matrix products.

XLA for CPUs runs batched attention at half the speed and keeps what a gradient should compute
again. Other platforms run the plain forms of `flax.linen` and `jax.nn`; see `layers`, `attention`.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

ATTENTION = "attention"  # the name of what a block that is computed again keeps of `attend`

_platform: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def target_platform() -> str:
    """The platform that programs are traced for: `cpu`, `gpu`, `tpu`."""
    return _platform.get() or jax.default_backend()


def is_target() -> bool:
    """Returns True where the forms of this module run."""
    return target_platform() == "cpu"


@contextlib.contextmanager
def compiled_for(platform: str) -> Iterator[None]:
    """Lets programs that are traced inside suit a platform that is not here."""
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)


def after(tree, done):
    """The same floats of a tree, which nothing can compute with before all of `done` is there.

    XLA for CPUs drops `jax.lax.optimization_barrier`. A multiple of zero, which no compiler may
    leave out of a sum of floats, has the same effect.
    """
    nothing = sum(0 * x.reshape(-1)[0].astype(jnp.float32) for x in jax.tree.leaves(done))

    def wait(x):
        return x + nothing.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(wait, tree)


def recomputed(function: Callable) -> Callable:
    """The same function, whose gradient keeps its arguments alone and computes the rest again.

    XLA for CPUs drops the barriers of `jax.checkpoint`, computes again at once what hangs on
    nothing but the arguments, and keeps it after all. Here it hangs on the incoming gradient, too:
    a chain of eight GELUs takes 159 MB instead of 405. There is no forward derivative. The first
    argument is [..., D], and the result [..., E].
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


class LayerNorm(nn.Module):
    """`flax.linen.LayerNorm` over the last axis, whose gradient keeps nothing but its input."""

    epsilon: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        def norm(x, scale, bias):
            wide = x.astype(jnp.float32)
            centered = wide - wide.mean(axis=-1, keepdims=True)
            variance = jnp.square(centered).mean(axis=-1, keepdims=True)
            factor = jax.lax.rsqrt(variance + self.epsilon)
            return (centered * factor * scale + bias).astype(self.dtype)

        width = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, width)
        return recomputed(norm)(x, scale, self.param("bias", nn.initializers.zeros, width))


def gelu(x):
    """The exact GELU, x·Φ(x), in float32 inside.

    By erf: `jax.nn.gelu` takes erfc, which costs more.
    """
    wide = x.astype(jnp.float32)
    return (wide * (0.5 + 0.5 * jax.lax.erf(wide * np.float32(0.5**0.5)))).astype(x.dtype)


def dot_general(x, kernel, dimension_numbers, precision=None):
    """`lax.dot_general` of [..., D] and [D, E] as one product of two matrices.

    The kernel's gradient then takes no transposed copies of x.
    """
    (_, contracted), _ = dimension_numbers
    rows = x.reshape(-1, x.shape[-1])
    if x.dtype == kernel.dtype == jnp.bfloat16:
        out = _narrow_product(rows, kernel)
    else:
        out = jax.lax.dot_general(rows, kernel, (((1,), contracted), ((), ())), precision=precision)
    return out.reshape(*x.shape[:-1], out.shape[-1])


@jax.custom_vjp
def _narrow_product(x, kernel):
    """bfloat16 [N, D] and [D, E] -> bfloat16 [N, E], each sum rounded once.

    XLA for CPUs takes the CPU's own instructions for products of bfloat16, such as AMX, only where
    the result is float32. The gradient of such a product would be one of float32 arrays.
    """
    return _wide_product(x, kernel).astype(x.dtype)


def _narrow_product_backward(saved, gradient):
    x, kernel = saved
    return _narrow_product(gradient, kernel.T), _narrow_product(x.T, gradient)


_narrow_product.defvjp(
    lambda x, kernel: (_narrow_product(x, kernel), (x, kernel)), _narrow_product_backward
)


def _wide_product(x, y):
    """[N, D] and [D, E] -> float32 [N, E]; see `_narrow_product`."""
    return jnp.matmul(x, y, preferred_element_type=jnp.float32)


def dot_general_of_gelu(x, kernel, dimension_numbers, precision=None):
    """`dot_general` of GELU(x), which is the widest array of a block and is not kept."""

    def product(x, kernel):
        x = gelu(x)
        return dot_general(x, kernel, dimension_numbers, precision)

    return recomputed(product)(x, kernel)


@jax.custom_vjp
def attend(q, k, v):
    """`attention.attend`, one head of one sample after another, in the arrays' own layout.

    No more than one N×M array is there at a time, and none is kept for the gradient: it is computed
    again from the logarithm of the softmax's sums, as FlashAttention does.
    """
    return _attend_forward(q, k, v)[0]


def _attend_forward(q, k, v):
    batch, _, heads, dim = q.shape

    def one_head(i, filled):
        out, log_total = filled
        query, key, value = (_head(x, i) for x in (q, k, v))
        logits = _logits(query * dim**-0.5, key)
        largest = logits.max(axis=-1, keepdims=True)
        raised = jnp.exp(logits - largest)
        total = raised.sum(axis=-1, keepdims=True)
        # Divided after the product with the values: that is a smaller array.
        mixed = _wide_product(raised.astype(v.dtype), value) / total
        return _set_head(out, mixed, i), _set_head(log_total, largest + jnp.log(total), i)

    # To be filled: of the right shapes, and not there before q is, as constants would be.
    places = q.astype(v.dtype), q[..., :1].astype(jnp.float32)
    out, log_total = jax.lax.fori_loop(0, batch * heads, one_head, places)
    out, log_total = (checkpoint_name(x, ATTENTION) for x in (out, log_total))
    return out, (q, k, v, out, log_total)


def _attend_backward(saved, gradient):
    *qkv, out, log_total = saved

    def one_head(i, arrays):
        # Gradients take the places of what they are of, which no other step reads.
        q, k, v, o, total, of_o = (_head(x, i) for x in (*arrays, out, log_total, gradient))
        scaled = q * q.shape[-1] ** -0.5
        weights = jnp.exp(_logits(scaled, k) - total)
        of_v = _wide_product(weights.astype(v.dtype).T, of_o)
        along = jnp.sum(of_o * o, axis=-1, keepdims=True, dtype=jnp.float32)
        of_logits = (weights * (_logits(of_o, v) - along)).astype(q.dtype)
        of_q = _wide_product(of_logits, k) * q.shape[-1] ** -0.5
        gradients = of_q, _wide_product(of_logits.T, scaled), of_v
        return tuple(_set_head(x, y, i) for x, y in zip(arrays, gradients, strict=True))

    batch, _, heads, _ = gradient.shape
    return jax.lax.fori_loop(0, batch * heads, one_head, tuple(qkv))


attend.defvjp(_attend_forward, _attend_backward)


def _logits(q, k):
    return jnp.einsum("nd,md->nm", q, k, preferred_element_type=jnp.float32)


def _head(x, i):
    """The i-th head, counted over the whole batch: [B, N, H, D] -> [N, D]."""
    flat, start = _head_place(x, i)
    return jax.lax.dynamic_slice(flat, start, (1, x.shape[1], x.shape[3]))[0]


def _set_head(x, head, i):
    """`x` with `head` in the place where `_head` reads it."""
    flat, start = _head_place(x, i)
    return jax.lax.dynamic_update_slice(flat, head[None].astype(x.dtype), start).reshape(x.shape)


def _head_place(x, i):
    """`x` as [B, N, H·D], and where in it the i-th head begins."""
    batch, head = jnp.divmod(i, x.shape[2])
    return x.reshape(*x.shape[:2], -1), (batch, 0, head * x.shape[3])
