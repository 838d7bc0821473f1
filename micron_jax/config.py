"""Recipes: from a config file and single settings to frozen dataclasses, every field checked."""

import ast
import copy
import dataclasses
import runpy
import traceback
import typing
from collections.abc import Iterable
from pathlib import Path

import ml_collections

from micron_jax.checks import did_you_mean
from micron_jax.errors import UserError


def recipes() -> dict[str, Path]:
    """Returns the recipes that come with the package, by name: in a checkout, its `configs/`."""
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}
    return {}


def load(name: str) -> dict:
    """Returns the settings of a config file, as nested dicts.

    Args:
      name: a Python file whose `get_config()` returns an `ml_collections.ConfigDict`, or the name
        of a recipe that comes with the package, such as `pretrain_paper`.

    Raises:
      UserError: there is no such file, or it cannot be executed; the message has file and line.
    """
    packaged = recipes()
    path = packaged.get(name, Path(name))
    if path.is_dir():
        raise UserError(
            f"{path}: is a folder; name a Python file or a recipe: {', '.join(packaged)}"
        )
    if not path.is_file():
        raise UserError(f"{name}: no such file and no such recipe; {did_you_mean(name, packaged)}")
    try:
        get_config = runpy.run_path(str(path)).get("get_config")
        config = get_config() if get_config else None
    except (Exception, SystemExit) as error:
        raise UserError(_failure(path, error)) from error
    if get_config is None:
        raise UserError(f"{path}: defines no get_config()")
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"{path}: get_config() does not return an ml_collections.ConfigDict")
    return config.to_dict()


def _failure(path: Path, error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if not frames and path.suffix != ".py":
        return f"{path}: is no Python file; a recipe is a Python file that defines get_config()"
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    where = f"{path}, line {line}" if line else str(path)
    return f"{where}: {type(error).__name__}: {error}".splitlines()[0]


def override(values: dict, settings: Iterable[str]) -> dict:
    """Returns nested values with settings `FIELD=VALUE` in their place; dots lead into sections.

    Settings are such as `model.depth=5` or `views.local_scale=(0.1, 0.5)`.

    Raises:
      UserError: a setting has no value, or leads into a field that is no section.
    """
    values = copy.deepcopy(values)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"config.{name} has no value; give config.{name}=VALUE")
        *sections, field = name.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UserError(f"config.{name}: config.{section} is no section")
        try:
            place[field] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            place[field] = value  # a plain word
    return values


def check_fields(kind: type, values: dict, *, section: str) -> None:
    """Checks the names of the fields of a dataclass, and of those within its sections.

    The names of `kind.SHORTHANDS` pass as well.

    Raises:
      UserError: there is no field of that name.
    """
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind)]
    fields += getattr(kind, "SHORTHANDS", ())
    for name, value in values.items():
        if name not in fields:
            raise UserError(f"{section}.{name}: no such field; {did_you_mean(name, fields)}")
        if dataclasses.is_dataclass(hints.get(name)) and isinstance(value, dict):
            check_fields(hints[name], value, section=f"{section}.{name}")


# (field, word) of the last version, which checkpoints and runs still hold, and the word of today.
_RENAMED_VALUES = {("swap_with", "grey"): "gray"}
# Fields of the last version's motion branch; the first ones said whether there was one.
_MOTION_BRANCH = ("band", "motion_crops", "motion_weight")
_REMOVED = (
    *_MOTION_BRANCH, "band_window", "band_width", "band_heads", "band_spreads", "motion_width",
    "motion_window", "motion_reach", "motion_size", "motion_still", "displacement_steps",
)  # fmt: skip


def up_to_date(values: dict) -> dict:
    """Returns nested settings with the words of the last version replaced by those of today.

    Raises:
      UserError: the settings are those of a network with the last version's motion branch.
    """
    current = {}
    for name, value in values.items():
        if isinstance(value, dict):
            current[name] = up_to_date(value)
        elif name not in _REMOVED:
            current[name] = _RENAMED_VALUES.get((name, str(value)), value)
        elif name in _MOTION_BRANCH and value:
            raise UserError(
                f"{name}={value}: the motion branch of version 0.1 is gone; in its place is the "
                "displacement branch: take micron-tiny, or train with pretrain_ours"
            )
    return current


def build(kind: type, values: dict, *, section: str = "config"):
    """Makes a frozen dataclass from nested dicts; fields that are dataclasses become so themselves.

    Raises:
      UserError: an unknown or missing field, or a value of the wrong type.
    """
    values = up_to_date(values)
    check_fields(kind, values, section=section)
    return _make(kind, values, section)


def _make(kind: type, values: dict, section: str):
    hints = typing.get_type_hints(kind)
    arguments = {
        name: _convert(hints[name], value, f"{section}.{name}") for name, value in values.items()
    }
    for field in dataclasses.fields(kind):
        name = f"{section}.{field.name}"
        if field.name in arguments:
            continue
        if dataclasses.is_dataclass(hints[field.name]):
            arguments[field.name] = _make(hints[field.name], {}, name)
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise UserError(f"{name} is missing; set {name}=VALUE")
    return kind(**arguments)


def _convert(hint, value, name: str):
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UserError(f"{name}={value!r}: a section, not a value; set its fields")
        return _make(hint, value, name)
    if typing.get_origin(hint) is tuple:
        parts = typing.get_args(hint)
        if parts[1:] == (...,) and isinstance(value, (tuple, list)):
            parts = parts[:1] * len(value)
        if not isinstance(value, (tuple, list)) or len(value) != len(parts):
            raise UserError(f"{name}={value!r}: expected {len(parts)} values, (a, b)")
        return tuple(_convert(*pair, name) for pair in zip(parts, value, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kinds = typing.get_args(hint) or (hint,)  # `int | str` has two
    if type(value) not in kinds:
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise UserError(f"{name}={value!r}: expected {expected}")
    return value
