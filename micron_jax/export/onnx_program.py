"""A computation as an ONNX model, by the network in PyTorch and PyTorch's own exporter.

ONNX Runtime, OpenVINO and others run it, with neither jax nor torch.
"""

import contextlib
import io
import json
import logging
import warnings

from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.export.computation import BATCH, Computation

METADATA = "micron_jax"  # the entry of a model that describes it, as the JSON beside it does
_MOST_BYTES = 2**31 - 2**20  # of a model in one file


def encode(weights: Weights, computation: Computation, described: dict) -> bytes:
    """The bytes of an ONNX model, float32, that takes batches of any size.

    Args:
      computation: `features` or `motion`.

    Raises:
      UserError: the extra `onnx` is missing; another computation or dtype; a network too large.
    """
    if computation.what == "classify":
        raise UserError("what='classify': is not written as ONNX; name the file NEW.jax")
    if weights.config.dtype != "float32":
        raise UserError(f"dtype={weights.config.dtype!r}: ONNX files are written in float32")
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch

        from micron_jax.torch.reading import from_tensors
    except ImportError as error:
        mend = "pip install 'micron-jax[onnx]'"
        raise UserError(f"ONNX files are written by PyTorch and onnxscript: {mend}") from error
    tensors = {name: torch.tensor(array) for name, array in weights.flat().items()}
    if sum(tensor.nbytes for tensor in tensors.values()) > _MOST_BYTES:
        raise UserError("the network takes more than 2 GB, which one ONNX file cannot hold")
    network = _Frames(from_tensors(weights.config, tensors), computation)
    examples = tuple(
        torch.zeros([2 if side == BATCH else side for side in array.shape], dtype=torch.uint8)
        for array in computation.inputs
    )
    with _quietly():
        program = torch.onnx.export(
            network.eval(),
            examples,
            input_names=[array.name for array in computation.inputs],
            output_names=[array.name for array in computation.outputs],
            dynamic_shapes=(tuple({0: torch.export.Dim(BATCH)} for _ in examples),),
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto
    model.metadata_props.add(key=METADATA, value=json.dumps(described, ensure_ascii=False))
    return model.SerializeToString()


def _Frames(model, computation: Computation):  # noqa: N802
    """A module that computes the outputs of a computation, in their order, from uint8 frames."""
    import torch

    kind = computation.facts.get("map")

    class Frames(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *frames):
            if computation.what == "features":
                return self.model.features(*frames)
            if kind == "displacement":
                return tuple(self.model.motion(*frames)[: len(computation.outputs)])
            return self.model.motion_map(*frames, kind=kind)

    return Frames()


@contextlib.contextmanager
def _quietly():
    """Keeps the exporter from printing its progress and the versions of operators it looks for."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
