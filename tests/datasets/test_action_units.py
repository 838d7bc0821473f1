import pytest

from micron_jax.datasets.action_units import units_of


@pytest.mark.parametrize(
    ("cell", "units"),
    [
        ("4+L10", {4, 10}),  # CASME II
        ("R6A+R12", {6, 12}),  # SAMM
        ("ref(7B)+ 43E", {43}),
        ("A/L12", {12}),
        ("10A/B", {10}),
        ("A9E+ref(10)", {9}),
        ("4+7+AD38+M58", {4, 7, 38, 58}),  # DFME
        ("T28+14", {28, 14}),  # CAS(ME)3
        ("L2,L4,10,24,38,", {2, 4, 10, 24, 38}),  # part C
        ("4，11", {4, 11}),
        ("AU4+AU7", {4, 7}),
        ("AU1+AU2(k)", {1, 2}),  # 4DME
        ("au 12", {12}),
        ("12", {12}),
    ],
)
def test_units_of_the_sheets(cell, units):
    assert units_of(cell) == units


@pytest.mark.parametrize(
    "cell", ["", "?", "13?", "L12 or L14", "(R6 or R12) + R15", "R14+17+soft focus", "123", "none"]
)
def test_cells_that_leave_a_unit_open(cell):
    assert units_of(cell) is None
