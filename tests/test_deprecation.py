import pytest

from micron_jax.deprecation import renamed_arguments


@renamed_arguments(heat="kind")
def chosen(*, kind=None):
    return kind


def test_an_argument_s_old_name_warns_and_works():
    assert chosen(kind="motion") == "motion"
    with pytest.warns(FutureWarning, match=r"chosen\(heat=…\) is now kind=…") as warned:
        assert chosen(heat="motion") == "motion"
    assert warned[0].filename == __file__
