"""`micron-jax bench gpu`: the words of the command, and the parts of its report."""

import argparse
import dataclasses
import datetime
import json
import sys
import tempfile
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs.arguments import add_command
from micron_jax.programs.options import number
from micron_jax.programs.stopping import noting

TEXT = "report on this machine's GPU: parity, speed beside the release, batches, memory, folds"
EXAMPLES = """
  micron-jax bench gpu --output report --release Micron-BERT --recording release_tiny.npz
  micron-jax bench gpu --output rehearsal --rehearse
"""
# float32 as it is written, not TF32.
_EXACT = {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "NVIDIA_TF32_OVERRIDE": "0"}
_WHOLE_MEMORY = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92"}
_TINY = (
    "model.width=32", "model.depth=1", "model.heads=2", "model.decoder_width=16",
    "model.decoder_depth=1", "model.decoder_heads=2", "model.img_size=32", "views.local_size=16",
    "views.swap_min_patches=2",
)  # fmt: skip
# Series of batches: what is measured -> settings of the recipe, variables, seconds at most. Those
# that most people want come first.
_SERIES = {
    "train_xla": (("model.attention=xla",), {}, 55),
    "train_cudnn": (("model.attention=cudnn",), {}, 45),
    "extract_xla": (("model.attention=xla",), {}, 40),
    "extract_cudnn": (("model.attention=cudnn",), {}, 40),
}
_VARIANTS = {
    "train_remat_blocks": (("model.remat=blocks",), {}, 40),
    "train_remat_dots": (("model.remat=dots",), {}, 40),
    "train_scanned": (("model.blocks=scanned",), {}, 35),
    "train_no_triton_gemm": ((), {"XLA_FLAGS": "--xla_gpu_enable_triton_gemm=false"}, 35),
    "train_latency_hiding": (
        (),
        {"XLA_FLAGS": "--xla_gpu_enable_latency_hiding_scheduler=true"},
        35,
    ),
}


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    description = (
        f"{TEXT[0].upper()}{TEXT[1:]}; Markdown, JSON and a picture. The parts run one after "
        "another, the most valuable first; each has a limit to its time, and the report is whole "
        "after each."
    )
    parser = add_command(kinds, "gpu", TEXT, EXAMPLES, _run, description=description)
    parser.option("--output")
    text = "folder of a checkout of the PyTorch release; without: only our speed"
    parser.option("--release", text, type=Path, metavar="CHECKOUT")
    text = "recordings of the release, for parity (tests/fixtures/*.npz of a checkout of ours)"
    parser.option("--recording", text, type=Path, metavar="FILE.npz", nargs="+", default=[])
    minutes = number(float, above=0, at_most=600)
    parser.option("--minutes", "for all parts together", type=minutes, default=11.0)
    parser.option("--only", "names of parts, of which no others run", nargs="+", metavar="PART")
    parser.flag("--rehearse", "run every part at tiny sizes, on a CPU too")


def _run(options: argparse.Namespace) -> int:
    folder = options.output
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists; remove it, or name another folder")
    for path in (*options.recording, *filter(None, [options.release])):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
    todo = _parts(options)
    if options.only:
        names = {part.name for part in todo}
        if unknown := [name for name in options.only if name not in names]:
            raise UserError(f"--only {unknown[0]}: no such part; choose from {', '.join(names)}")
        todo = [part for part in todo if part.name in options.only]

    from micron_jax.benchmarks import device_page, parts

    folder.mkdir(parents=True, exist_ok=True)
    first = parts.Part("facts", "the device", _worker("device_facts"), 120)
    found = parts.run(first, folder, first.limit)
    if not found["result"]:
        raise UserError(f"jax does not start here: {found['reason']}")
    facts = found["result"] | {
        "rehearsal": options.rehearse,
        "date": datetime.date.today().isoformat(),
    }
    if facts["platform"] == "cpu" and not options.rehearse:
        raise UserError(
            "jax sees no GPU here: install it with CUDA (pip install '.[cuda]'), or give --rehearse"
        )

    def report(results: dict) -> None:
        device_page.write(folder, results, facts)
        ended = [part for part in results.values() if part["state"] != "not begun"]
        if ended:
            last = ended[-1]
            line = f"{last['title']}: {last['state']}, {last['seconds']:.0f} s"
            print(line + (f" ({last['reason']})" if last["reason"] else ""), flush=True)

    seconds = 60 * options.minutes - found["seconds"]
    with tempfile.TemporaryDirectory() as cache:  # of compiled programs, for all parts
        environ = {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        patience = 10 if options.rehearse else 1  # the limits are those of a GPU
        todo = [
            dataclasses.replace(part, environ=environ | part.environ, limit=patience * part.limit)
            for part in todo
        ]
        with noting(f"the report so far is in {folder}"):
            results = parts.run_all(todo, folder, seconds=seconds, report=report)
    print(f"report: {folder / device_page.PAGE}")
    checked = [part["result"] for name, part in results.items() if name.startswith("parity")]
    return 0 if all(result is None or result["ok"] for result in checked) else 1


def _parts(options: argparse.Namespace) -> list:
    """The parts of the report, the most valuable first."""
    from micron_jax.benchmarks.parts import Part

    tiny = options.rehearse
    rounds = ["--rounds", "1", "--seconds", "0.01"] if tiny else ["--rounds", "3"]

    def parity(path: Path) -> Part:
        command = _command("compare", "--recording", str(path))
        title = f"parity in float32 with {path.name}"
        return Part(f"parity_{path.stem}", title, command, 90, _EXACT)

    def beside(kind: str, limit: float, *ways: str) -> list[Part]:
        if not options.release:
            return []
        batch = {"train": 64, "extract": 256}[kind]
        words = ["--batch", "2", "--size", "32"] if tiny else ["--batch", str(batch)]
        words += [f"--config.{setting}" for setting in _tiny_settings(kind, options)]
        words += ["--release", str(options.release), "--against", *ways, *rounds]
        title = f"{_NAMES[kind]} beside the release, {' and '.join(ways)}"
        command = _command("bench", kind, *words)
        return [Part(f"{kind}_{'_'.join(ways)}", title, command, limit)]

    def series(table: dict) -> list[Part]:
        return [
            Part(
                f"sweep_{name}",
                f"{_NAMES[name.partition('_')[0]]}, ours at growing batches, "
                f"{name.partition('_')[2].replace('_', ' ')}",
                _worker("batch_sweep", _sweep_request(name, settings, options)),
                limit,
                _WHOLE_MEMORY | environ,
            )
            for name, (settings, environ, limit) in table.items()
        ]

    recordings = [parity(path) for path in options.recording]
    run = {"recipe": "pretrain_paper", "seconds": 60, "settings": ["epochs=1e6", "log_every=10"]}
    if tiny:
        run["settings"] = ["epochs=0.1", "log_every=1", "batch_size=8", *_TINY]
    inputs = ["--batch", "4", "--size", "32", "--threads", "1"] if tiny else []
    numbers = ["--samples", "8", "--subjects", "4", "--epochs", "1"] if tiny else []
    numbers += ["--width", "16", "--repeats", "1"] if tiny else ["--repeats", "2"]
    return [
        *recordings[:1],
        *beside("extract", 70, "autocast", "eager"),
        *beside("train", 100, "autocast", "eager"),
        *series(dict(list(_SERIES.items())[:1])),
        *beside("extract", 90, "compile-autocast"),
        *beside("train", 150, "compile-autocast"),
        *series(dict(list(_SERIES.items())[1:])),
        Part("pretrain", "pretrain_paper on drawn frames", _worker("timed_run", run), 110),
        Part(
            "input",
            "pairs from disk",
            _command("bench", "input", "--alone", *inputs, *rounds),
            40,
        ),
        Part("folds", "folds side by side", _command("bench", "loso", *numbers), 60),
        *series(_VARIANTS),
        *recordings[1:],
    ]


_NAMES = {"train": "train step", "extract": "features"}


def _tiny_settings(kind: str, options: argparse.Namespace) -> list[str]:
    """Settings of `pretrain_release` for a rehearsal; the head is the release's own."""
    if not options.rehearse:
        return []
    settings = [name for name in _TINY if not name.startswith("model.img_size")]
    return [*settings, "views.local_crops=2"] if kind == "train" else settings


def _sweep_request(name: str, settings: tuple[str, ...], options: argparse.Namespace) -> dict:
    kind = name.partition("_")[0]
    batches = [16, 32, 64, 128, 256, 512, 1024]
    if kind == "extract":
        batches = [1, 16, 64, 256, 1024, 4096]
    request = {"kind": kind, "recipe": "pretrain_release", "settings": list(settings)}
    if options.rehearse:
        request["settings"] += [*_tiny_settings(kind, options), "model.img_size=32"]
        return request | {"batches": [1, 2], "seconds": 0.01}
    return request | {"batches": batches, "seconds": 0.7}


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "micron_jax", *words, "--json", "OUT.json"]


def _worker(module: str, request: dict | None = None) -> list[str]:
    words = [json.dumps(request)] if request else []
    return [sys.executable, "-m", f"micron_jax.benchmarks.{module}", "OUT.json", *words]
