"""The field's protocols: which samples of a benchmark count, as which class, and how many.

Reviewers compare numbers only between equal protocols, so each one here carries the counts that
its samples must add up to, and `census.compare` tells where a user's copy differs. Counts of the
sets: their papers and sheets. What the sheets and papers leave to usage:

* 3 classes of one set are its part of the composite of MEGC2019, with the same samples left out;
  SMIC has no others, and its positive and negative are taken as they are.
* 5 classes of CASME II leave out sadness (7) and fear (2): too few to learn or to test.
* 5 classes of SAMM leave out disgust (9), fear (8) and sadness (6); 136 samples of 27 subjects.
* CAS(ME)3, second version of its sheet (860 samples): 4 classes put anger, disgust, fear and sad
  into negative; 3 classes are those without others. How many subjects then remain is not printed
  anywhere, and not checked.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from micron_jax.datasets.annotations import Sample
from micron_jax.errors import UserError

THREE = ("negative", "positive", "surprise")
SPELLINGS = {"other": "others", "happy": "happiness", "sad": "sadness", "angry": "anger"}
# The sheet has this one as negative; its folder, its name and the published counts say surprise.
CORRECTED = {("smic_hs", "s18_sur_03"): "surprise"}


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a set's part must add up to: samples of each class (or emotion), and subjects."""

    samples: Mapping[str, int]
    subjects: int | None  # None: not known


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way to test.

    Attributes:
      name: as a user types it.
      classes: their order gives the class index.
      rules: set -> emotion (as `emotion_of` writes it) -> class, or None for left out.
      expected: set -> counts.
      removed: (set, clip) -> why this sample is left out though its emotion has a class.
    """

    name: str
    classes: tuple[str, ...]
    rules: Mapping[str, Mapping[str, str | None]]
    expected: Mapping[str, Counts]
    removed: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)

    @property
    def sets(self) -> tuple[str, ...]:
        return tuple(self.rules)


# What a complete copy of each set holds, all emotions (as `emotion_of` writes them).
SETS = {
    "casme2": Counts(
        dict(others=99, disgust=63, happiness=32, repression=27, surprise=25, sadness=7, fear=2),
        26,
    ),
    "samm": Counts(
        dict(
            anger=57,
            others=26,
            happiness=26,
            surprise=15,
            contempt=12,
            disgust=9,
            fear=8,
            sadness=6,
        ),
        29,
    ),
    "smic_hs": Counts(dict(negative=70, positive=51, surprise=43), 16),
    "casme3": Counts(
        dict(disgust=250, surprise=187, others=161, fear=86, anger=64, sadness=57, happiness=55),
        94,
    ),
    "casme3_c": Counts(dict(negative=99, surprise=30, others=20, positive=16), 30),
}


def _rules(name: str, **classes: str) -> dict[str, str | None]:
    """class="emotion emotion" ... -> rules for every emotion of a set; the rest is left out."""
    rules = dict.fromkeys(SETS[name].samples)
    for label, emotions in classes.items():
        rules |= dict.fromkeys(emotions.split(), label)
    return rules


def _alone(name: str, of: str, subjects: int | None, **classes: str) -> Protocol:
    """A protocol of one set that takes all samples of the emotions it takes."""
    samples = {
        label: sum(SETS[of].samples[emotion] for emotion in emotions.split())
        for label, emotions in classes.items()
    }
    return Protocol(
        name, tuple(classes), {of: _rules(of, **classes)}, {of: Counts(samples, subjects)}
    )


def _part(name: str, of: Protocol, only: str) -> Protocol:
    removed = {key: reason for key, reason in of.removed.items() if key[0] == only}
    return Protocol(name, of.classes, {only: of.rules[only]}, {only: of.expected[only]}, removed)


COMPOSITE = Protocol(
    name="composite",
    classes=THREE,
    rules={
        "casme2": _rules(
            "casme2", negative="disgust repression", positive="happiness", surprise="surprise"
        ),
        "samm": _rules(
            "samm",
            negative="anger contempt disgust fear sadness",
            positive="happiness",
            surprise="surprise",
        ),
        "smic_hs": _rules("smic_hs", negative="negative", positive="positive", surprise="surprise"),
    },
    expected={
        "casme2": Counts(dict(negative=88, positive=32, surprise=25), 24),
        "samm": Counts(dict(negative=92, positive=26, surprise=15), 28),
        "smic_hs": Counts(dict(negative=70, positive=51, surprise=43), 16),
    },
    removed={
        ("casme2", "sub04/EP12_01f"): "not among the samples of MEGC2019 (it has no apex)",
        ("casme2", "sub05/EP09_05f"): "not among the samples of MEGC2019",
    },
)
_CASME3 = dict(negative="anger disgust fear sadness", positive="happiness", surprise="surprise")
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        COMPOSITE,
        _part("casme2_3", COMPOSITE, "casme2"),
        _alone(
            "casme2_5",
            "casme2",
            26,
            happiness="happiness",
            disgust="disgust",
            repression="repression",
            surprise="surprise",
            others="others",
        ),
        _part("samm_3", COMPOSITE, "samm"),
        _alone(
            "samm_5",
            "samm",
            27,
            anger="anger",
            happiness="happiness",
            other="others",
            surprise="surprise",
            contempt="contempt",
        ),
        _part("smic_hs_3", COMPOSITE, "smic_hs"),
        _alone("casme3_3", "casme3", None, **_CASME3),
        _alone("casme3_4", "casme3", 94, **_CASME3, others="others"),
        _alone(
            "casme3_7",
            "casme3",
            94,
            happy="happiness",
            anger="anger",
            disgust="disgust",
            fear="fear",
            sad="sadness",
            surprise="surprise",
            others="others",
        ),
    )
}
# A set of `data synth`, which casme2's builder reads: its three classes, in whatever numbers.
SYNTHETIC = Protocol("synthetic", THREE, {"casme2": COMPOSITE.rules["casme2"]}, expected={})


def find(name: str) -> Protocol:
    """The protocol of that name, one of `PROTOCOLS` or `synthetic`.

    Raises:
      UserError: there is none.
    """
    known = PROTOCOLS | {SYNTHETIC.name: SYNTHETIC}
    if name not in known:
        raise UserError(f"no protocol {name!r}; there are: {', '.join(known)}")
    return known[name]


def emotion_of(sample: Sample) -> str:
    """A sample's emotion in one spelling, known errors of the sheets put right."""
    for (name, clip), emotion in CORRECTED.items():
        if is_clip(sample, name, clip):
            return emotion
    emotion = sample.emotion.strip().lower()
    return SPELLINGS.get(emotion, emotion)


def is_clip(sample: Sample, dataset: str, clip: str) -> bool:
    """Whether the sample is that one: folders may stand before the name."""
    return sample.dataset == dataset and f"/{sample.clip}".endswith(f"/{clip}")


def subject_of(sample: Sample) -> str:
    """`set/subject`: subjects of two sets are two people, whatever their numbers."""
    return f"{sample.dataset}/{sample.subject}"


def apply(protocol: Protocol, samples: Iterable[Sample]) -> list[tuple[Sample, int]]:
    """The samples that count, each with its class's index in `protocol.classes`, in order.

    Samples of sets that the protocol does not have are passed over.

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
