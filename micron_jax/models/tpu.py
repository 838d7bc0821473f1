"""TPU kernels: self-attention and the diagonal of micro-attention, whose weights stay on the chip.

A sample's logits fit into a TPU core's own memory, a block of queries at a time. So none of them
crosses to the chip's main memory, forwards or backwards, and the kernels read q, k and v where the
linear layer left them. The library's kernels (`jax.experimental.pallas.ops.tpu`) take heads first
and tokens in multiples of 128: the copies of q, k, v and of their gradients move more bytes than
the attention itself.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

_LANES = 128  # values side by side in a register
_LOGITS = 2**18  # of a block of queries, at most, if that has no less than 128 of them
_VMEM = 13 * 2**20  # bytes; a kernel gets 16 MiB of a core's memory

_mesh: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("mesh", default=None)

_ROWS_BY_ROWS = (((1,), (1,)), ((), ()))  # x·yᵀ
_COLUMNS_BY_COLUMNS = (((0,), (0,)), ((), ()))  # xᵀ·y


@contextlib.contextmanager
def spread_over(mesh: Mesh) -> Iterator[None]:
    """Lets each device run the kernels of programs that are traced inside on its share of a batch.

    The compiler cannot split a kernel by itself. The batch lies over all axes of the mesh. Programs
    that are traced elsewhere, where there are several devices, run without the kernels.
    """
    token = _mesh.set(mesh)
    try:
        yield
    finally:
        _mesh.reset(token)


def fits(batch: int, count: int, width: int, heads: int, itemsize: int) -> bool:
    """Tests if `attend` can take qkv of this size, [batch, count, 3 · width]."""
    dim = width // heads
    together = max(_LANES // dim, 1)
    aligned = dim % _LANES == 0 or (_LANES % dim == 0 and heads % together == 0)
    rows = _rows(count)
    # Nine blocks of a head's tokens, most of them twice, and five arrays of logits.
    needed = 18 * count * max(dim, _LANES) * itemsize + 5 * 4 * rows * count
    return aligned and needed <= _VMEM and _can_be_spread(batch)


def diagonal_fits(batch: int, count: int, width: int, itemsize: int) -> bool:
    """Tests if `diagonal_logit` can take q and k of this size, [batch, count, width]."""
    # Arrays of tokens come and go beside the work on others; one is a sum in float32.
    needed = (2 * 4 * itemsize + 4) * count * width + 5 * 4 * _rows(count) * count
    sized = width % _LANES == 0 and count > 1 and needed <= _VMEM
    return sized and _can_be_spread(batch)


def _can_be_spread(batch: int) -> bool:
    mesh = _mesh.get()
    return batch % mesh.size == 0 if mesh else jax.device_count() == 1


def _rows(count: int) -> int:
    """Queries whose logits exist at a time."""
    return min(count, max(_LOGITS // count // _LANES, 1) * _LANES)


def _blocks(count: int) -> list[slice]:
    rows = _rows(count)
    return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]


def _each_device(function: Callable) -> Callable:
    """The same function of arrays [B, ...], each device's share by itself."""
    mesh = _mesh.get()
    if mesh is None or mesh.size == 1:
        return function
    spec = P(mesh.axis_names)
    return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)


def _product(x, y, dimensions=(((1,), (0,)), ((), ()))):
    return jax.lax.dot_general(x, y, dimensions, preferred_element_type=jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def attend(qkv, heads: int):
    """Softmax attention of q, k and v side by side: [B, N, 3·H·D] -> [B, N, H·D], same dtype.

    Logits are scaled by 1/√D; softmax and sums are float32. D divides 128, or is a multiple. See
    `fits`.
    """
    return _each_device(functools.partial(_attend, heads=heads))(qkv)


def _attend_forward(qkv, heads):
    return attend(qkv, heads), qkv


def _attend_backward(heads, qkv, gradient):
    of_qkv = functools.partial(_attend_gradient, heads=heads)
    return (_each_device(of_qkv)(qkv, gradient),)


attend.defvjp(_attend_forward, _attend_backward)


def _layout(qkv, heads: int) -> tuple[int, int, int, list]:
    """(width of a head, of a block of heads, number of blocks, `BlockSpec`s of q, k and v)."""
    _, count, triple = qkv.shape
    dim = triple // 3 // heads
    block = max(dim, _LANES)
    blocks = triple // 3 // block
    specs = [
        pl.BlockSpec((None, count, block), lambda b, h, *_, part=part: (b, 0, part * blocks + h))
        for part in range(3)
    ]
    return dim, block, blocks, specs


def _cost(qkv, products: int, arrays: int) -> pl.CostEstimate:
    """The cost of products of N×N×D for all heads, and of so many arrays [B, N, H·D] moved."""
    batch, count, triple = qkv.shape
    size = batch * count * triple // 3
    return pl.CostEstimate(
        flops=2 * products * count * size,
        bytes_accessed=arrays * size * qkv.dtype.itemsize,
        transcendentals=batch * count**2,
    )


def _attend(qkv, *, heads: int):
    batch, count, _ = qkv.shape
    dim, block, blocks, specs = _layout(qkv, heads)

    def kernel(q_ref, k_ref, v_ref, out_ref):
        for start in range(0, block, dim):
            head = slice(start, start + dim)
            k, v = k_ref[:, head], v_ref[:, head]
            for rows in _blocks(count):
                logits = _product(q_ref[rows, head], k, _ROWS_BY_ROWS) * dim**-0.5
                raised = jnp.exp(logits - logits.max(axis=1, keepdims=True))
                total = raised.sum(axis=1, keepdims=True)
                mixed = _product(raised.astype(v.dtype), v)
                out_ref[rows, head] = (mixed / total).astype(out_ref.dtype)

    return pl.pallas_call(
        kernel,
        grid=(batch, blocks),
        in_specs=specs,
        out_specs=pl.BlockSpec((None, count, block), lambda b, h: (b, 0, h)),
        out_shape=jax.ShapeDtypeStruct((batch, count, blocks * block), qkv.dtype),
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        cost_estimate=_cost(qkv, products=2, arrays=4),
    )(qkv, qkv, qkv)


def _attend_gradient(qkv, gradient, *, heads: int):
    """The gradient of qkv, [B, N, 3·H·D], from that of the result; the weights come anew."""
    batch, count, triple = qkv.shape
    dim, block, blocks, specs = _layout(qkv, heads)

    def kernel(q_ref, k_ref, v_ref, of_out_ref, of_qkv_ref, of_k_ref, of_v_ref):
        part = pl.program_id(2)

        # Turn by turn the gradients of q, k and v leave for their places in one array.
        @pl.when(part == 1)
        def _():
            of_qkv_ref[...] = of_k_ref[...].astype(of_qkv_ref.dtype)

        @pl.when(part == 2)
        def _():
            of_qkv_ref[...] = of_v_ref[...].astype(of_qkv_ref.dtype)

        @pl.when(part == 0)
        def _():
            of_k_ref[...] = jnp.zeros_like(of_k_ref)
            of_v_ref[...] = jnp.zeros_like(of_v_ref)
            for start in range(0, block, dim):
                head = slice(start, start + dim)
                k, v = k_ref[:, head], v_ref[:, head]
                for rows in _blocks(count):
                    q, of_out = q_ref[rows, head], of_out_ref[rows, head]
                    # Keys run down and queries across, so that sums of products need no turning.
                    logits = _product(k, q, _ROWS_BY_ROWS) * dim**-0.5
                    raised = jnp.exp(logits - logits.max(axis=0, keepdims=True))
                    weights = raised / raised.sum(axis=0, keepdims=True)
                    of_v_ref[:, head] += _product(weights.astype(v.dtype), of_out)
                    of_weights = _product(v, of_out, _ROWS_BY_ROWS)
                    along = (weights * of_weights).sum(axis=0, keepdims=True)
                    of_logits = (weights * (of_weights - along) * dim**-0.5).astype(q.dtype)
                    of_k_ref[:, head] += _product(of_logits, q)
                    of_q = _product(of_logits, k, _COLUMNS_BY_COLUMNS)
                    of_qkv_ref[rows, head] = of_q.astype(of_qkv_ref.dtype)

    result = pl.BlockSpec((None, count, block), lambda b, h, part: (b, 0, h))
    return pl.pallas_call(
        kernel,
        grid=(batch, blocks, 3),
        in_specs=[*specs, result],
        out_specs=pl.BlockSpec((None, count, block), lambda b, h, part: (b, 0, part * blocks + h)),
        out_shape=jax.ShapeDtypeStruct((batch, count, triple), qkv.dtype),
        scratch_shapes=[pltpu.VMEM((count, block), jnp.float32)] * 2,
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary")
        ),
        cost_estimate=_cost(qkv, products=5, arrays=7),
    )(qkv, qkv, qkv, gradient)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def diagonal_logit(q, k, scale: float):
    """`dma.diagonal_logit`: [B, N, D] twice -> float32 [B, N]. See `diagonal_fits`."""
    return _each_device(functools.partial(_diagonal, scale=scale))(q, k)


def _diagonal_forward(q, k, scale):
    return diagonal_logit(q, k, scale), (q, k)


def _diagonal_backward(scale, arguments, gradient):
    function = functools.partial(_diagonal_gradient, scale=scale)
    return _each_device(function)(*arguments, gradient)


diagonal_logit.defvjp(_diagonal_forward, _diagonal_backward)


def _other_weights(k, q, start: int, scale: float):
    """Of queries from `start` on: (own logit, log-sum-exp of the others [1, R], softmax of the
    others [N, R], where a key has the query's own place [N, R])."""
    logits = _product(k, q, _ROWS_BY_ROWS) * scale
    keys, queries = (jax.lax.broadcasted_iota(jnp.int32, logits.shape, axis) for axis in (0, 1))
    own = keys == queries + start
    others = jnp.where(own, -jnp.inf, logits)
    largest = others.max(axis=0, keepdims=True)
    raised = jnp.exp(others - largest)
    total = raised.sum(axis=0, keepdims=True)
    own_logit = jnp.where(own, logits, 0.0).sum(axis=0, keepdims=True)
    return own_logit, largest + jnp.log(total), raised / total, own


def _diagonal(q, k, *, scale: float):
    batch, count, width = q.shape

    def kernel(q_ref, k_ref, out_ref):
        for rows in _blocks(count):
            own_logit, log_total, *_ = _other_weights(k_ref[...], q_ref[rows, :], rows.start, scale)
            out_ref[:, rows] = own_logit - log_total

    tokens = pl.BlockSpec((None, count, width), lambda b: (b, 0, 0))
    out = pl.pallas_call(
        kernel,
        grid=(batch,),
        in_specs=[tokens, tokens],
        out_specs=pl.BlockSpec((None, 1, count), lambda b: (b, 0, 0)),
        out_shape=jax.ShapeDtypeStruct((batch, 1, count), jnp.float32),
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel",)),
        cost_estimate=_diagonal_cost(q, products=1, arrays=2),
    )(q, k)
    return out[:, 0]


def _diagonal_gradient(q, k, gradient, *, scale: float):
    batch, count, width = q.shape

    def kernel(q_ref, k_ref, of_out_ref, of_q_ref, of_k_ref, sum_ref):
        sum_ref[...] = jnp.zeros_like(sum_ref)
        for rows in _blocks(count):
            q, k = q_ref[rows, :], k_ref[...]
            *_, weights, own = _other_weights(k, q, rows.start, scale)
            of_logits = jnp.where(own, 1.0, -weights) * (of_out_ref[:, rows] * scale)
            of_logits = of_logits.astype(q.dtype)
            sum_ref[...] += _product(of_logits, q)
            of_q_ref[rows, :] = _product(of_logits, k, _COLUMNS_BY_COLUMNS).astype(of_q_ref.dtype)
        of_k_ref[...] = sum_ref[...].astype(of_k_ref.dtype)

    tokens = pl.BlockSpec((None, count, width), lambda b: (b, 0, 0))
    line = pl.BlockSpec((None, 1, count), lambda b: (b, 0, 0))
    return pl.pallas_call(
        kernel,
        grid=(batch,),
        in_specs=[tokens, tokens, line],
        out_specs=[tokens, tokens],
        out_shape=[jax.ShapeDtypeStruct(q.shape, q.dtype)] * 2,
        scratch_shapes=[pltpu.VMEM((count, width), jnp.float32)],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel",)),
        cost_estimate=_diagonal_cost(q, products=3, arrays=4),
    )(q, k, gradient[:, None])


def _diagonal_cost(q, products: int, arrays: int) -> pl.CostEstimate:
    batch, count, width = q.shape
    return pl.CostEstimate(
        flops=2 * products * batch * count**2 * width,
        bytes_accessed=arrays * q.size * q.dtype.itemsize,
        transcendentals=batch * count**2,
    )
