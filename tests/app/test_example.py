"""The film that the page offers as an example."""

import pytest
from helpers import example_film

import micron_jax


def test_the_example_is_small_and_drawn_at_its_times():
    assert example_film.FILM.stat().st_size < 250_000
    page = (example_film.FILM.parent / "page.js").read_text("utf-8")
    for onset, _, offset in (example_film.BROWS, example_film.MOUTH):
        assert f"from {onset:.2f} to" in page
        assert f"{offset:.2f}" in page


@pytest.mark.slow
def test_what_moves_in_the_example_is_found():
    film = micron_jax.spot(example_film.FILM)
    assert [one.part for one in film.candidates] == ["brows", "mouth"]
    for one, times in zip(film.candidates, (example_film.BROWS, example_film.MOUTH), strict=True):
        assert one.seconds == pytest.approx(times, abs=0.1)
