"""What a benchmark's sheet says of one micro-expression."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Sample:
    """One labelled micro-expression.

    Attributes:
      dataset: the built set's name: casme2, samm, smic_hs, smic_vis, smic_nir, casme3, casme3_c,
        mmew, fourdme.
      clip: unique in its set; the sheet's own names, e.g. `sub01/EP02_01f`.
      subject: as text, unique in its set.
      emotion: as the sheet writes it.
      action_units: as the sheet writes them; empty if it does not.
      onset, apex, offset: frame numbers as in the files' names.
      fps: frames per second.
    """

    dataset: str
    clip: str
    subject: str
    emotion: str
    action_units: str
    onset: int
    apex: int
    offset: int
    fps: float
