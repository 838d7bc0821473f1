"""What a film shows: its candidates of micro-expressions, and the motion over time."""

import dataclasses

from matplotlib.figure import Figure

from micron_jax.spotting.timeline import Timeline
from micron_jax.visualization import notebook
from micron_jax.visualization.figures import draw_timeline

COLUMNS = ("", "onset, s", "apex, s", "offset, s", "part", "px", "probability")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A candidate of a micro-expression.

    Attributes:
      frames: numbers of onset, apex and offset in the film, from 0.
      seconds: the same, since the film's first frame.
      part: of the face, where most of it is; empty where crops are no faces.
      px: displacement at the apex, of a face at the network's input size.
      probability: that it is a micro-expression.
    """

    frames: tuple[int, int, int]
    seconds: tuple[float, float, float]
    part: str
    px: float
    probability: float


@dataclasses.dataclass(frozen=True, repr=False)
class FilmView:
    """What `micron_jax.spot` finds in a film.

    Attributes:
      name: of the film.
      candidates: in order of time.
      timeline: the motion of every frame, and all candidates, also the unlikely ones.
    """

    name: str
    candidates: list[Candidate]
    timeline: Timeline

    @staticmethod
    def of(name: str, timeline: Timeline, least: float) -> "FilmView":
        """The view of a timeline of the kind `motion`; `least`: probability of a candidate."""
        since = timeline.seconds - timeline.seconds[0]
        candidates = [
            Candidate(
                tuple(int(timeline.numbers[n]) for n in each.frames),
                tuple(float(since[n]) for n in each.frames),
                each.part,
                each.energy,
                each.confidence,
            )
            for each in timeline.intervals
            if each.confidence >= least
        ]
        return FilmView(name, sorted(candidates, key=lambda one: one.frames), timeline)

    def plot(self) -> Figure:
        """Draws the motion over time, with all candidates of the timeline."""
        return draw_timeline(self.timeline, title=self.name)

    def __repr__(self) -> str:
        lines = [f"  {' '.join(row)}" for row in self._rows()]
        return "\n".join([self._summary(), *lines, *(f"note: {x}" for x in self.timeline.notes)])

    def _repr_html_(self) -> str:
        rows = [COLUMNS, *self._rows()] if self.candidates else []
        return notebook.page(self._summary(), self.plot(), rows)

    def _summary(self) -> str:
        seconds, count = self.timeline.durations().sum(), len(self.candidates)
        return f"{self.name}: {seconds:.1f} s, {count} candidate{'s' * (count != 1)}"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                f"{number}:",
                *(f"{second:.2f} s" for second in one.seconds),
                one.part,
                f"{one.px:.2f} px",
                f"p = {one.probability:.2f}",
            )
            for number, one in enumerate(self.candidates, 1)
        ]
