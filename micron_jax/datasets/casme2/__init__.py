"""CASME II: 255 micro-expressions of 26 subjects, 200 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import HEADINGS, MIDDLE, ClipSet, Entry, Mend, columns, padded

INSTRUCTIONS = """CASME II is free for research, under a license a staff member signs.
Ask: http://casme.psych.ac.cn/casme/e2 (Institute of Psychology, Chinese Academy of Sciences).
Ask for: the coding sheet (CASME2-coding-20190701.xlsx) and the frames, raw (CASME2-RAW or
CASME2_RAW_selected) or cropped (Cropped).
Put them below one folder, unpacked, and name that folder with --source:
  CASME2-coding-20190701.xlsx
  CASME2-RAW/sub01/EP02_01f/img1.jpg ...      or Cropped/sub01/EP02_01f/reg_img46.jpg ...
Where both are there, choose with --frames CASME2-RAW."""

CITATION = """@article{yan2014casme2,
  title={CASME II: An improved spontaneous micro-expression database and the baseline evaluation},
  author={Yan, Wen-Jing and Li, Xiaobai and Wang, Su-Jing and Zhao, Guoying and Liu, Yong-Jin and
    Chen, Yu-Hsin and Fu, Xiaolan},
  journal={PLoS ONE}, volume={9}, number={1}, pages={e86041}, year={2014},
  doi={10.1371/journal.pone.0086041}
}"""


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    subject = padded(row["subject"], 2)  # text `01` or the number 1
    return [Entry.of(row, f"sub{subject}/{row['clip']}", subject)]


CASME2 = ClipSet(
    name="casme2",
    title="CASME II: 255 micro-expressions, 26 subjects, 200 fps",
    fps=200.0,
    sheet_files=("casme2-coding-*.xls*",),
    sheets=(),
    columns=HEADINGS | columns(onset="OnsetFrame", apex="ApexFrame", offset="OffsetFrame"),
    entries=entries,
    folders=lambda entry: [tuple(entry.clip.split("/"))],
    emotions=("others", "disgust", "happiness", "repression", "surprise", "sadness", "fear"),
    mends=(
        Mend("sub04/EP12_01f", "apex", "/", MIDDLE, "the sheet has no apex: the middle is taken"),
    ),
    instructions=INSTRUCTIONS,
    citation=CITATION,
    homepage="http://casme.psych.ac.cn/casme/e2",
)
