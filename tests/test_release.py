"""What a release says of itself: version, lowest dependencies, licenses."""

import ast
import re
from pathlib import Path

import pytest
import yaml

import micron_jax

ROOT = Path(__file__).parent.parent
TEXT = {".typed", ".py", ".md", ".css", ".html", ".js", ".txt", ".json"}


def packaging():
    """The arguments of `setup` that are literals."""
    calls = (node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())))
    [call] = [n for n in calls if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "setup"]
    arguments = {}
    for word in call.keywords:
        try:
            arguments[word.arg] = ast.literal_eval(word.value)
        except ValueError:
            continue
    return arguments


def test_every_file_names_the_version():
    version = micron_jax.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == version


def test_the_lowest_versions_are_those_of_the_package():
    arguments = packaging()
    extras = arguments["extras_require"]
    bounds = {}
    for requirement in [*arguments["install_requires"], *extras["app"], *extras["hub"]]:
        name, bound = re.match(r"([\w.-]+)(?:\[.*\])?>=([\d.]+)", requirement).groups()
        bounds[name] = bound
    bounds["jaxlib"] = bounds["jax"]
    lines = (ROOT / "launch" / "constraints-lowest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins.keys() == bounds.keys()
    for name, bound in bounds.items():  # 4.13 is 4.13.0.90
        assert f"{pins[name]}.".startswith(f"{bound}."), name


def test_every_interpreter_of_the_release_is_named():
    script = (ROOT / "launch" / "release.sh").read_text()
    versions = re.findall(r"Python :: (3\.\d+)", str(packaging()["classifiers"]))
    assert f"PYTHONS:-{' '.join(f'python{version}' for version in versions)}" in script
    assert packaging()["python_requires"] == f">={versions[0]}"


def test_what_is_no_text_lies_with_its_license():
    package = ROOT / "micron_jax"
    files = [p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    binary = [path for path in files if path.suffix not in TEXT and path.name != "LICENSE"]
    # Drawn by tests/helpers/example_film.py, and so under the license of the code.
    binary.remove(package / "app" / "page" / "example.mp4")
    assert {path.suffix for path in binary} == {".onnx", ".safetensors"}
    for path in binary:
        assert path.parent.parent == package / "weights"
        card = (path.parent / "README.md").read_text()
        own = path.parent / "LICENSE"
        if own.exists():
            assert str(own.relative_to(ROOT)) in packaging()["license_files"]
            assert f"{own.read_text().split()[0]}" in packaging()["license"].split(" AND ")
        else:
            assert re.search(r"^license: apache-2.0$", card, re.MULTILINE)


@pytest.mark.parametrize("path", ["micron_jax", "configs"])
def test_the_wheel_has_no_large_files(path):
    sizes = [p.stat().st_size for p in (ROOT / path).rglob("*") if "__pycache__" not in p.parts]
    assert sum(sizes) < 15e6
