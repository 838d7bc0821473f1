"""What the paper of Micron-BERT reports (arXiv 2304.03195, its tables of results)."""

PAPER = "Micron-BERT (CVPR 2023)"

# Protocol -> (UF1, UAR), as shares of 1.
PUBLISHED = {
    "composite": (0.8903, 0.8842),
    "casme2_3": (0.9034, 0.8914),
    "casme2_5": (0.8553, 0.8348),
    "samm_5": (0.8386, 0.8475),
    "smic_hs_3": (0.8550, 0.8384),
    "casme3_3": (0.5604, 0.6125),
    "casme3_4": (0.4718, 0.4913),
    "casme3_7": (0.3264, 0.3254),
}

CAVEAT = (
    "Published numbers of this field may rest on a choice made on the test subjects, such as the "
    "epoch that was best on them, or on F1 averaged over folds; the paper's training code is not "
    "public. They stand here for orientation, not as a measure of the same thing."
)
