"""Damaged sheets: refusals in one line and good reads only."""

import io
import random
import zipfile

import openpyxl
import pytest

from micron_jax.datasets.sheets import open_workbook
from micron_jax.errors import UserError


def mutations(data, count, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        yield bytes(changed if rng.random() < 0.9 else changed[: rng.randrange(len(changed))])


def workbook():
    book = openpyxl.Workbook()
    for row in range(6):
        book.active.append([f"sub{row}", row, row / 7, True])
    book.active.merge_cells("A2:A3")
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def mutated_parts(data, count):
    """Workbooks that are whole as zips, with damaged XML in them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for number in range(count):
        name = sorted(parts)[number % len(parts)]
        (changed,) = mutations(parts[name], 1, seed=number)
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as archive:
            for other, part in parts.items():
                archive.writestr(other, changed if other == name else part)
        yield output.getvalue()


INPUTS = {
    "zip": lambda: mutations(workbook(), 200),
    "xml": lambda: mutated_parts(workbook(), 400),
    "html": lambda: mutations(b"<table><tr><td rowspan=2>01<td>a</tr><tr><td>b</table>" * 2, 200),
    "csv": lambda: mutations("Subject,Clip\n01,é\n".encode() * 3, 200),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_mutations(tmp_path, kind):
    read, refusals = 0, []
    for number, data in enumerate(INPUTS[kind]()):
        path = tmp_path / f"{number}.xls"
        path.write_bytes(data)
        try:
            book = open_workbook(path)
            for name in book.names:
                book.sheet(name)
            read += 1
        except UserError as error:
            refusals.append((path, str(error)))
    assert read
    assert refusals
    for path, line in refusals:
        assert str(path) in line
        assert line.isprintable()
