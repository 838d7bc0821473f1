"""The field's protocols: which samples of a benchmark count, as which class, and how many.

Numbers can be compared only between equal protocols, so each protocol carries the counts that its
samples must add up to; `census` compares a user's copy with them. The counts of the sets come from
their papers and sheets. The choices that these leave open:

* 3 classes of one set are its part of the composite of MEGC2019, less the same samples. SMIC's
  positive and negative are taken as they are.
* 5 classes of CASME II leave out sadness (7) and fear (2): 246 samples. The sheet of 2019 calls
  three of the sad ones surprise: 249. Either counts, by the sheet. The composite has none of them.
* 5 classes of SAMM leave out disgust (9), fear (8) and sadness (6): 136 samples of 27 subjects.
* CAS(ME)3, second version of its sheet (860 samples): 4 classes put anger, disgust, fear and
  sadness into negative; 3 classes are these without others, of 88 subjects. The first version has
  921 samples, of one subject more; 65 of them are not in the second.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from micron_jax.checks import did_you_mean
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.own import NAME as OWN
from micron_jax.datasets.subjects import spelled
from micron_jax.datasets.synthetic_names import marked, unmarked
from micron_jax.errors import UserError

THREE = ("negative", "positive", "surprise")
SPELLINGS = {"other": "others", "happy": "happiness", "sad": "sadness", "angry": "anger"}
# The sheet has this one as negative; its folder, its name and the published counts say surprise.
CORRECTED = {
    (name, "s18_sur_03"): "surprise"
    for name in ("smic_hs", "smic_vis", "smic_nir", "smic_hs_e", "smic_vis_e")
}


@dataclasses.dataclass(frozen=True)
class Counts:
    """Samples of each class (or emotion), and subjects (None: not known)."""

    samples: Mapping[str, int]
    subjects: int | None


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
      name: as a user types it.
      classes: their order gives the class index.
      rules: set -> emotion (as `emotion_of` writes it) -> class, or None for left out.
      removed: (set, clip) -> why this sample is left out though its emotion has a class.
      built: names of the built sets that hold the samples; empty: those of `rules`.
      editions: set -> version of its sheet -> counts, where versions differ in them; `expected` has
        those of the first.
      part: the samples that `expected` counts, in words, where a split tests not all of them.
    """

    name: str
    classes: tuple[str, ...]
    rules: Mapping[str, Mapping[str, str | None]]
    expected: Mapping[str, Counts]
    removed: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    editions: Mapping[str, Mapping[str, Counts]] = dataclasses.field(default_factory=dict)
    built: tuple[str, ...] = ()
    part: str = ""

    @property
    def homes(self) -> tuple[str, ...]:
        """Names of the built sets to open."""
        return self.built or self.sets

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets that it takes samples of."""
        return tuple(self.rules)


def _numbers(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


# A complete copy of each set: all its emotions, as `emotion_of` writes them, and its subjects.
SETS = {
    "casme2": Counts(
        _numbers("others 99 disgust 63 happiness 32 repression 27 surprise 25 sadness 7 fear 2"), 26
    ),
    "samm": Counts(
        _numbers(
            "anger 57 others 26 happiness 26 surprise 15 contempt 12 disgust 9 fear 8 sadness 6"
        ),
        29,
    ),
    "smic_hs": Counts(_numbers("negative 70 positive 51 surprise 43"), 16),
    "smic_vis": Counts(_numbers("positive 28 negative 23 surprise 20"), 8),
    "smic_nir": Counts(_numbers("positive 28 negative 23 surprise 20"), 8),
    "casme3": Counts(
        _numbers("disgust 250 surprise 187 others 161 fear 86 anger 64 sadness 57 happiness 55"), 94
    ),
    "casme3_c": Counts(_numbers("negative 99 surprise 30 others 20 positive 16"), 30),
    "dfme": Counts(
        _numbers(
            "disgust 735 surprise 447 fear 365 sadness 359 happiness 311 anger 241 contempt 171"
        ),
        259,
    ),
}

# Versions of a sheet with different labels, and the clips that tell them apart.
SHEET_2014, SHEET_2019 = "the sheet of 2014", "the sheet of 2019"
SHEET_V1, SHEET_V2 = "the first version of its sheet", "the second version of its sheet"
EDITIONS = {
    "casme2": {
        SHEET_2014: SETS["casme2"],
        SHEET_2019: Counts({**SETS["casme2"].samples, "surprise": 28, "sadness": 4}, 26),
    },
    "casme3": {
        SHEET_V2: SETS["casme3"],
        SHEET_V1: Counts(
            _numbers(
                "disgust 275 surprise 199 others 166 fear 91 anger 67 sadness 63 happiness 60"
            ),
            95,
        ),
    },
}
# Sadness in the sheet of 2014, surprise in that of 2019.
RELABELED = ("sub24/EP07_01", "sub24/EP07_04f", "sub24/EP10_03")
# Some of those that only the first version of CAS(ME)3's sheet has, of different subjects.
WITHDRAWN = (
    "spNO.151/f/5", "spNO.10/j/501", "spNO.142/g/108", "spNO.165/a/5", "spNO.189/e/43",
    "spNO.208/c/2359", "spNO.215/a/55", "spNO.3/h/1978",
)  # fmt: skip


def edition_of(name: str, samples: Iterable[Sample]) -> str:
    """Returns the version of a set's sheet, by its labels; empty where there is one version."""
    if name not in EDITIONS:
        return ""
    if name == "casme3":
        withdrawn = any(is_clip(s, name, clip) for s in samples for clip in WITHDRAWN)
        return SHEET_V1 if withdrawn else SHEET_V2
    emotions = [
        emotion_of(sample)
        for sample in samples
        if any(is_clip(sample, "casme2", clip) for clip in RELABELED)
    ]
    return SHEET_2019 if emotions and set(emotions) == {"surprise"} else SHEET_2014


def complete(name: str, edition: str = "") -> Counts:
    """Returns the counts of a complete copy of a set, by a version of its sheet."""
    return EDITIONS.get(name, {}).get(edition, SETS[name])


def _rules(name: str, classes: Mapping[str, str]) -> dict[str, str | None]:
    """Returns emotion -> class, or None if it is left out, from class -> "emotion emotion"."""
    places = {emotion: label for label, group in classes.items() for emotion in group.split()}
    return {emotion: places.get(emotion) for emotion in SETS[name].samples}


def _protocol(
    name: str,
    dataset: str,
    subjects: int | None,
    classes: Mapping[str, str],
    editions: Mapping[str, int] | None = None,
) -> Protocol:
    """Returns a protocol of one set that takes all samples of its emotions.

    Args:
      editions: version of the set's sheet -> subjects, where it has other subjects.
    """

    def counts(whole: Counts, subjects: int | None = subjects) -> Counts:
        samples = {
            label: sum(whole.samples[emotion] for emotion in group.split())
            for label, group in classes.items()
        }
        return Counts(samples, subjects)

    rules = {dataset: _rules(dataset, classes)}
    versions = {
        edition: counts(whole, (editions or {}).get(edition, subjects))
        for edition, whole in EDITIONS.get(dataset, {}).items()
    }
    return Protocol(
        name,
        tuple(classes),
        rules,
        {dataset: counts(SETS[dataset])},
        editions={dataset: versions} if versions else {},
    )


def _part(name: str, whole: Protocol, dataset: str) -> Protocol:
    """Returns the part of a protocol that one set has."""
    rules, expected = {dataset: whole.rules[dataset]}, {dataset: whole.expected[dataset]}
    removed = {key: reason for key, reason in whole.removed.items() if key[0] == dataset}
    return Protocol(name, whole.classes, rules, expected, removed)


_BASIC = {"positive": "happiness", "surprise": "surprise"}
_NEGATIVE = {"negative": "anger contempt disgust fear sadness"}
COMPOSITE = Protocol(
    name="composite",
    classes=THREE,
    rules={
        "casme2": _rules("casme2", {"negative": "disgust repression"} | _BASIC),
        "samm": _rules("samm", _NEGATIVE | _BASIC),
        "smic_hs": _rules("smic_hs", {label: label for label in THREE}),
    },
    expected={
        "casme2": Counts(_numbers("negative 88 positive 32 surprise 25"), 24),
        "samm": Counts(_numbers("negative 92 positive 26 surprise 15"), 28),
        "smic_hs": Counts(_numbers("negative 70 positive 51 surprise 43"), 16),
    },
    removed={
        ("casme2", "sub04/EP12_01f"): "not among the samples of MEGC2019 (it has no apex)",
        ("casme2", "sub05/EP09_05f"): "not among the samples of MEGC2019",
        **{("casme2", clip): "sadness in the sheet of 2014" for clip in RELABELED},
    },
)
_CASME2_5 = ("happiness", "disgust", "repression", "surprise", "others")
_CASME3_3 = {"negative": "anger disgust fear sadness"} | _BASIC
_SAMM_5 = {"anger": "anger", "happiness": "happiness", "other": "others", "surprise": "surprise"}
_DFME_7 = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
_CASME3_7 = {"happy": "happiness", "anger": "anger", "disgust": "disgust", "fear": "fear"}
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        COMPOSITE,
        _part("casme2_3", COMPOSITE, "casme2"),
        _protocol("casme2_5", "casme2", 26, {label: label for label in _CASME2_5}),
        _part("samm_3", COMPOSITE, "samm"),
        _protocol("samm_5", "samm", 27, _SAMM_5 | {"contempt": "contempt"}),
        _part("smic_hs_3", COMPOSITE, "smic_hs"),
        _protocol("casme3_3", "casme3", 88, _CASME3_3, {SHEET_V1: 89}),
        _protocol("casme3_4", "casme3", 94, _CASME3_3 | {"others": "others"}, {SHEET_V1: 95}),
        _protocol(
            "casme3_7",
            "casme3",
            94,
            _CASME3_7 | {"sad": "sadness", "surprise": "surprise", "others": "others"},
            {SHEET_V1: 95},
        ),
        _protocol("dfme_7", "dfme", 259, {label: label for label in _DFME_7}),
    )
}
# A set of `data synth`, which casme2's builder reads: its three classes, in whatever numbers.
SYNTHETIC = Protocol("synthetic", THREE, {"casme2": COMPOSITE.rules["casme2"]}, expected={})


def find(name: str) -> Protocol:
    """Returns the protocol of a name: one of `PROTOCOLS`, or `synthetic`.

    Raises:
      UserError: no protocol has this name.
    """
    if name == OWN:
        raise UserError(
            f"protocol {name!r} is made of the table of a set of one's own; only `data check own`, "
            "fine-tuning and the workdir of a fine-tuning know it"
        )
    protocols = PROTOCOLS | {SYNTHETIC.name: SYNTHETIC}
    if name not in protocols:
        raise UserError(f"no protocol {name!r}; {did_you_mean(name, protocols)}")
    return protocols[name]


def of_synthetic(protocol: Protocol, sets: Iterable[str]) -> Protocol:
    """Returns the protocol with the names of some of its sets marked as synthetic."""
    names = {unmarked(name): marked(name) for name in sets}

    def renamed(values: Mapping) -> dict:
        return {names.get(name, name): value for name, value in values.items()}

    return dataclasses.replace(
        protocol,
        rules=renamed(protocol.rules),
        expected=renamed(protocol.expected),
        editions=renamed(protocol.editions),
        removed={
            (names.get(name, name), clip): reason
            for (name, clip), reason in protocol.removed.items()
        },
    )


def emotion_of(sample: Sample) -> str:
    """Returns a sample's emotion in one spelling; known errors of the sheets are corrected."""
    for (name, clip), emotion in CORRECTED.items():
        if is_clip(sample, name, clip):
            return emotion
    emotion = sample.emotion.strip().lower()
    return SPELLINGS.get(emotion, emotion)


def is_clip(sample: Sample, dataset: str, clip: str) -> bool:
    """Tells whether a sample is this clip; its name may begin with folders."""
    return sample.dataset == dataset and f"/{sample.clip}".endswith(f"/{clip}")


def subject_of(sample: Sample) -> str:
    """Returns `set/subject`, in the set's spelling: equal numbers in two sets are two people."""
    return f"{sample.dataset}/{spelled(sample.dataset, sample.subject)}"


def apply(protocol: Protocol, samples: Iterable[Sample]) -> list[tuple[Sample, int]]:
    """Returns the samples that count, in order, each with the index of its class.

    Samples of sets that the protocol does not take are left out.

    Raises:
      UserError: an emotion stands in none of the protocol's rules.
    """
    labeled = []
    for sample in samples:
        if sample.dataset not in protocol.rules:
            continue
        rules, emotion = protocol.rules[sample.dataset], emotion_of(sample)
        if emotion not in rules:
            raise UserError(
                f"{sample.dataset} {sample.clip}: emotion {sample.emotion!r} has no place in "
                f"protocol {protocol.name}; known are {', '.join(rules)}: correct the sheet "
                "and build the set again"
            )
        removed = any(is_clip(sample, *key) for key in protocol.removed)
        if rules[emotion] is not None and not removed:
            labeled.append((sample, protocol.classes.index(rules[emotion])))
    return labeled
