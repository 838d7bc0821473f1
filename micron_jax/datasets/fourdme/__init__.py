"""4DME: micro-expressions, the gray camera's clips, 60 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import ClipSet, Entry, columns

INSTRUCTIONS = """4DME is free for research, under a license a supervisor signs.
Ask: https://www.oulu.fi/en/university/faculties-and-units/
faculty-information-technology-and-electrical-engineering/center-machine-vision-and-signal-analysis
Ask for: the gray micro-expression clips (gray_micro) and the labels
(4DME_Labelling_Micro_release v1.xlsx).
Put them below one folder, unpacked, and name that folder with --source:
  4DME_Labelling_Micro_release v1.xlsx
  gray_micro/<sub_ID>/<fold_name>/<...><n>.jpg ..."""

CITATION = """@article{li2022fourdme,
  title={4DME: A spontaneous 4D micro-expression dataset with multimodalities},
  author={Li, Xiaobai and Cheng, Shiyang and Li, Yante and Behzad, Muzammil and Shen, Jie and
    Zafeiriou, Stefanos and Pantic, Maja and Zhao, Guoying},
  journal={IEEE Transactions on Affective Computing}, year={2022},
  doi={10.1109/TAFFC.2022.3182342}
}"""


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    return [Entry.of(row, f"{row['subject']}/{row['clip']}", row["subject"])]


FOURDME = ClipSet(
    name="fourdme",
    title="4DME: micro-expressions of the gray camera, 60 fps",
    fps=60.0,
    sheet_files=("4dme_labelling_micro*.xls*",),
    sheets=(),
    columns=columns(
        subject="sub_ID",
        clip="fold_name",
        onset="Onset",
        apex="Apex",
        offset="Offset",
        action_units="AUs",
        emotion="Emotion",
    ),
    entries=entries,
    folders=lambda entry: [("gray_micro", *entry.clip.split("/"))],
    emotions=("positive", "negative", "surprise", "repression", "others"),
    compound=True,
    instructions=INSTRUCTIONS,
    citation=CITATION,
    homepage="https://www.oulu.fi/en/university/faculties-and-units/"
    "faculty-information-technology-and-electrical-engineering/"
    "center-machine-vision-and-signal-analysis",
)
