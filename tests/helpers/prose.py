"""The sentences of a page of Markdown, to measure how long they are."""

import re

FENCED = re.compile(r"^```.*?^```\n?", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)", re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)", re.DOTALL)
CODE = re.compile(r"`[^`]+`")
ITEM = re.compile(r"(?:[-*]|\d+\.)\s+")
# A sentence ends where the next one begins with a capital, a figure or a mark-up.
END = re.compile(r"[.!?][)\"'*]*\s+(?=[(\"'*]*[A-Z0-9δ])")
WORD = re.compile(r"\w")


def sentences(page: str) -> list[str]:
    """The sentences of paragraphs and lists.

    Code blocks, tables, headings and pictures hold none; a link counts by its text, and code
    within a sentence as one word.
    """
    page = PICTURE.sub("", FENCED.sub("\n\n", page))
    page = CODE.sub("Code", LINK.sub(r"\1", page))
    return [s.strip() for block in _blocks(page) for s in END.split(block) if WORD.search(s)]


def words(sentence: str) -> int:
    return sum(bool(WORD.search(word)) for word in sentence.split())


def _blocks(page: str) -> list[str]:
    """Paragraphs and items of lists, each in one line."""
    blocks = [""]
    for line in page.splitlines():
        text = line.strip()
        if not text or text.startswith(("|", "#")):
            blocks.append("")
        elif ITEM.match(text):
            blocks.append(ITEM.sub("", text, count=1))
        else:
            blocks[-1] += f" {text}"
    return blocks
