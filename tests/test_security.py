"""The page on security names tests; they are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [
    line.rpartition(" | ")
    for line in (ROOT / "docs" / "security.md").read_text().splitlines()
    if "tests/" in line and line.startswith("| ")
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_claim_has_its_test():
    assert len(ROWS) > 25
    for claim, _, tests in ROWS:
        assert NAMED.sub("", tests).strip(" ,|") == "", claim
        assert NAMED.findall(tests), claim


@pytest.mark.parametrize(("file", "name"), sorted({n for *_, t in ROWS for n in NAMED.findall(t)}))
def test_a_test_that_is_named_is_there(file, name):
    tree = ast.parse((ROOT / file).read_text())
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
