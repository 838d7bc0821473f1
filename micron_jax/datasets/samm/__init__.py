"""SAMM: 159 micro-movements of 29 subjects, 200 fps, gray."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import HEADINGS, MIDDLE, ClipSet, Entry, Mend, columns, padded

INSTRUCTIONS = """SAMM is free for research, under a license.
Ask: https://personalpages.manchester.ac.uk/staff/adrian.davison/SAMM.html
Ask for: the micro-movement clips of SAMM (not SAMM Long Videos) and their FACS codes.
Put them below one folder, unpacked, and name that folder with --source:
  SAMM_Micro_FACS_Codes_v2.xlsx               (sheet MICRO_ONLY)
  SAMM/006/006_1_2/006_05562.jpg ...
Where a second, cropped copy is there, choose with --frames SAMM."""

CITATION = """@article{davison2018samm,
  title={SAMM: A spontaneous micro-facial movement dataset},
  author={Davison, Adrian K. and Lansley, Cliff and Costen, Nicholas and Tan, Kevin and
    Yap, Moi Hoon},
  journal={IEEE Transactions on Affective Computing}, volume={9}, number={1}, pages={116--129},
  year={2018}, doi={10.1109/TAFFC.2016.2573832}
}"""

OUTSIDE = "the sheet's apex lies outside onset..offset: the middle is taken"


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-movement."""
    return [Entry.of(row, row["clip"], padded(row["subject"], 3))]  # `006` is text


SAMM = ClipSet(
    name="samm",
    title="SAMM: 159 micro-movements, 29 subjects, 200 fps, gray",
    fps=200.0,
    sheet_files=("samm_micro_facs_codes*.xls*", "samm_*_micro_facs_codes*.xls*"),
    sheets=("MICRO_ONLY",),
    columns=HEADINGS | columns(onset="Onset Frame", apex="Apex Frame", offset="Offset Frame"),
    entries=entries,
    folders=lambda entry: [(entry.subject, entry.clip)],
    emotions=("anger", "other", "happiness", "surprise", "contempt", "disgust", "fear", "sadness"),
    mends=(
        Mend("028_4_1", "apex", None, MIDDLE, OUTSIDE),
        Mend("032_3_1", "apex", None, MIDDLE, OUTSIDE),
    ),
    instructions=INSTRUCTIONS,
    citation=CITATION,
    homepage="https://personalpages.manchester.ac.uk/staff/adrian.davison/SAMM.html",
)
