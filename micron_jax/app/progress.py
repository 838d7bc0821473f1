"""The progress of a request over all of its stages."""

# The stages in their order, and their shares of the time that a video takes. A pair of pictures
# passes over most of them.
STAGES = {
    "finding the face": 0.02,
    "comparing frames": 0.70,
    "drawing": 0.12,
    "packing": 0.10,
    "magnifying": 0.04,
    "classifying": 0.02,
}


def share_of(stage: str, done: int, total: int) -> float:
    """The share of all work that is done, 0 to 1, when `done` of `total` of a stage are."""
    names = [*STAGES]
    before = sum(STAGES[name] for name in names[: names.index(stage)])
    return before + STAGES[stage] * (min(1, done / total) if total else 0)
