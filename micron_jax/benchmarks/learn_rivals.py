"""The rivals of a checkpoint: optical flow, each with the setting that is best on other people.

A setting is a flow, what is taken off it (`learn_flow.RESTS`), a smoothing and a shrinkage towards
zero, which helps a noisy estimate's error. Its error and its ranking are judged apart, so that each
has a setting of its own: the error's is the lowest geometric mean of `epe` over the amplitudes, the
ranking's the highest `learn_scores.merit`.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from micron_jax.benchmarks import learn_flow, learn_scores
from micron_jax.benchmarks.learn_flow import lengths
from micron_jax.benchmarks.learn_levels import AMPLITUDES
from micron_jax.benchmarks.learn_truth import Truth

SMOOTH = (0.0, 0.7, 1.2)  # standard deviation, patches
FLOWS = (*learn_flow.FINDERS, *learn_flow.MIXES)


def _soft(px: float, medians: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the factor of lengths [C, 28, 28] that are to be shorter by px + medians of a clip's.

    A negative length is 0.
    """

    def factor(length: np.ndarray) -> np.ndarray:
        less = px + medians * np.median(length, axis=(1, 2), keepdims=True)
        return np.clip(1 - less / np.maximum(length, 1e-9), 0, None)

    return factor


SHRINKAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": np.ones_like,
    **{f"less {px:g} px": _soft(px) for px in (0.05, 0.1, 0.2, 0.4)},
    **{f"less {n:g} medians": _soft(0, n) for n in (1, 2, 4)},
    **{f"above {px:g} px": lambda length, px=px: length > px for px in (0.1, 0.2, 0.4)},
}


@dataclass(frozen=True)
class Setting:
    """A way to the motion from a flow; its text, as in `dis fast 24 affine relative`, names it."""

    flow: str
    rest: str
    smooth: float = 0.0
    shrinkage: str = "as it is"
    relative: bool = False  # lengths in medians of the clip: see `learn_flow.relative`

    def __str__(self) -> str:
        words = [self.flow, self.rest]
        words += [f"smooth {self.smooth:g}"] if self.smooth else []
        words += [self.shrinkage] if self.shrinkage != "as it is" else []
        return " ".join(words + (["relative"] if self.relative else []))

    @property
    def kind(self) -> str:
        """The kind of setting, of which only the best is a rival: `dis_affine`."""
        return f"{self.flow.split()[0]}_{self.rest}"

    def vectors(self, flows: Mapping[str, np.ndarray], rigid: np.ndarray) -> np.ndarray:
        """Returns the vectors [C, 28, 28, 2], px, from those of the flows in `FINDERS`."""
        rest = learn_flow.RESTS[self.rest](learn_flow.mixed(flows, self.flow), rigid)
        return shrunk(smoothed(rest, self.smooth), self.shrinkage)

    def maps(self, flows: Mapping[str, np.ndarray], rigid: np.ndarray) -> np.ndarray:
        """Returns the maps [C, 28, 28] by which the patches are ranked."""
        length = lengths(self.vectors(flows, rigid))
        return learn_flow.relative(length, 0.02) if self.relative else length


# The settings if there are no other people to choose on.
_FAMILIES = {
    "farneback": "farneback 31",
    "dis": "dis fast 24",
    "tvl1": "tvl1 0.05",
    "both": "both 24",
    "all": "all 24",
}
_DEFAULTS = [Setting(flow, rest) for flow in _FAMILIES.values() for rest in learn_flow.RESTS]
DEFAULTS = {setting.kind: setting for setting in _DEFAULTS} | {"flow": Setting("all 24", "affine")}


def smoothed(vectors: np.ndarray, patches: float) -> np.ndarray:
    """Returns vectors [C, 28, 28, 2] behind a Gaussian filter of that deviation, in patches."""
    if not patches:
        return vectors
    return gaussian_filter(vectors, (0, patches, patches, 0), mode="nearest")


def shrunk(vectors: np.ndarray, shrinkage: str) -> np.ndarray:
    """Returns vectors [C, 28, 28, 2], each shorter as one of `SHRINKAGES` says."""
    return vectors * SHRINKAGES[shrinkage](lengths(vectors))[..., None]


def choose_by_error(flows: Mapping[str, np.ndarray], truth: Truth) -> dict[Setting, float]:
    """Returns the best setting of each flow and rest with its error, px, the best first."""

    def error(vectors: np.ndarray) -> float:
        off = lengths(truth.less_control(vectors) - truth.displacement) * truth.face
        means = [
            off[clips].sum() / truth.face[clips].sum()
            for amplitude in AMPLITUDES
            if (clips := truth.known & (truth.amplitude == amplitude)).any()
        ]
        return float(np.exp(np.mean(np.log(means)))) if means else np.inf

    def best(flow: str, rest: str) -> tuple[Setting, float]:
        vectors = learn_flow.RESTS[rest](learn_flow.mixed(flows, flow), truth.rigid)
        errors = {}
        for smooth in SMOOTH:
            smooth_vectors = smoothed(vectors, smooth)
            for shrinkage in SHRINKAGES:
                setting = Setting(flow, rest, smooth, shrinkage)
                errors[setting] = error(shrunk(smooth_vectors, shrinkage))
        return min(errors.items(), key=lambda item: item[1])

    pairs = list(itertools.product(FLOWS, learn_flow.RESTS))
    bests = [best(*pair) for pair in tqdm(pairs, desc="settings by error", leave=False)]
    return dict(sorted(bests, key=lambda item: item[1]))


def choose_by_ranking(flows: Mapping[str, np.ndarray], truth: Truth) -> dict[Setting, float]:
    """Returns the best setting of each flow and rest with its merit, the best first."""

    def best(flow: str, rest: str) -> tuple[Setting, float]:
        settings = [
            Setting(flow, rest, smooth, relative=relative)
            for smooth in SMOOTH[:2]
            for relative in (False, True)
        ]
        merits = {s: learn_scores.merit(s.maps(flows, truth.rigid), truth) for s in settings}
        return max(merits.items(), key=lambda item: item[1])

    pairs = list(itertools.product(FLOWS, learn_flow.RESTS))
    bests = [best(*pair) for pair in tqdm(pairs, desc="settings by ranking", leave=False)]
    return dict(sorted(bests, key=lambda item: -item[1]))


def best_of_each_kind(settings: Mapping[Setting, float]) -> dict[str, Setting]:
    """Returns the first setting of each kind, and of all, `flow`, the best first."""
    best = {"flow": next(iter(settings))}
    for setting in settings:
        best.setdefault(setting.kind, setting)
    return best
