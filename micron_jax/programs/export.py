"""`micron-jax export`: what a network computes, as a file that runs without micron_jax."""

from pathlib import Path

from micron_jax.errors import printable
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.stopping import writing_whole

EXAMPLES = """
  micron-jax export runs/demo features.jax
  micron-jax export runs/demo motion.jax --what motion --platforms cpu,cuda
  micron-jax export runs/folds classifier.jax --what classify
  micron-jax export runs/demo features.onnx

To run it, where there is jax and no micron_jax, on uint8 frames [B, H, W, 3] of any number:
  program = jax.export.deserialize(bytearray(open("features.jax", "rb").read()))
  tokens = program.call(frames)
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax export",
        "Write what a network computes into one file that runs without micron_jax: weights and "
        "normalization are inside, frames go in as uint8, in batches of any size. NAME.json "
        "beside it tells inputs, outputs and units.",
        EXAMPLES,
    )
    parser.option("source", "what `micron_jax.load` takes", metavar="CKPT")
    parser.option(
        "target", "a new file, NEW.jax or NEW.onnx (features, motion)", type=Path, metavar="OUT"
    )
    parser.option(
        "--what",
        "features: tokens of the patches; motion: displacement of each patch in px and its scale, "
        "or the first map of a checkpoint without a displacement branch; classify: probabilities",
        choices=("features", "motion", "classify"),
        default="features",
    )
    parser.option(
        "--platforms",
        "of NEW.jax: where it is to run: some of cpu, cuda, rocm and tpu, with commas between "
        "(default: cpu,cuda,tpu)",
    )
    parser.option(
        "--dtype",
        "precision of the computation; results are float32",
        choices=("float32", "bfloat16"),
        default="float32",
    )
    options = parser.parse_args(argv)
    with writing_whole(options.target):
        return _export(options)


def _export(options) -> int:
    import dataclasses

    from micron_jax.checkpoints import classifier, load
    from micron_jax.export import write

    source = load.locate(options.source)
    weights = load.read(source)
    head = classifier.read(source, weights.config) if source.is_dir() else None
    weights = dataclasses.replace(weights, config=weights.config.computed_in(options.dtype))
    platforms = options.platforms
    if platforms is not None:
        platforms = tuple(word.strip() for word in platforms.split(","))
    about = write(weights, head, options.target, what=options.what, platforms=platforms)
    for name in ("inputs", "outputs"):
        for array in about[name]:
            shape = ", ".join(map(str, array["shape"]))
            unit = f" {array['unit']}" if array["unit"] else ""
            print(f"{name[:-1]}: {array['name']} {array['dtype']} [{shape}]{unit}")
    size = options.target.stat().st_size / 1e6
    where = ", ".join(about.get("platforms", ["ONNX"]))
    print(printable(f"{options.target}: {size:.1f} MB, {where}"))
    return 0
