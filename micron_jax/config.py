"""From a config file and the command line to frozen dataclasses, every field checked."""

import ast
import dataclasses
import difflib
import runpy
import typing
from pathlib import Path

import ml_collections

from micron_jax.errors import UserError


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by name: in a checkout, its `configs/`."""
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}
    return {}


def load(name: str) -> dict:
    """The settings of a config file, as nested dicts.

    Args:
      name: a Python file whose `get_config()` returns an `ml_collections.ConfigDict`, or the name
        of a shipped recipe, such as `pretrain_paper`.

    Raises:
      UserError: there is no such file, or it cannot be run.
    """
    recipes = shipped()
    path = recipes.get(name, Path(name))
    if not path.is_file():
        raise UserError(
            f"--config {name}: no such file; the shipped recipes are {', '.join(recipes) or 'none'}"
        )
    try:
        config = runpy.run_path(str(path))["get_config"]()
    except KeyError as error:
        raise UserError(f"{path}: defines no get_config()") from error
    except Exception as error:
        raise UserError(f"{path}: {type(error).__name__}: {error}".splitlines()[0]) from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"{path}: get_config() does not return an ml_collections.ConfigDict")
    return config.to_dict()


def override(config: dict, arguments: list[str]) -> dict:
    """Applies `--config.FIELD=VALUE` (or `--config.FIELD VALUE`), fields within fields by dots.

    Raises:
      UserError: an argument of another form.
    """
    config = {k: dict(v) if isinstance(v, dict) else v for k, v in config.items()}
    arguments = list(arguments)
    while arguments:
        argument = arguments.pop(0)
        name, equals, value = argument.partition("=")
        if not name.startswith("--config."):
            raise UserError(f"{argument}: unknown; settings are given as --config.FIELD=VALUE")
        if not equals:
            if not arguments:
                raise UserError(f"{argument}: has no value; write {argument}=VALUE")
            value = arguments.pop(0)
        *sections, field = name.removeprefix("--config.").split(".")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UserError(f"{argument}: config.{section} is no section")
        try:
            place[field] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            place[field] = value  # a plain word
    return config


def build(kind: type, values: dict, *, section: str = "config"):
    """A frozen dataclass from nested dicts; fields that are dataclasses become so themselves.

    Raises:
      UserError: an unknown or missing field, or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    built = {}
    for name, value in values.items():
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(fields)}"
            raise UserError(f"{section}.{name}: no such field; {hint}")
        built[name] = _convert(hints[name], value, f"{section}.{name}")
    for name in fields.keys() - built.keys():
        if dataclasses.is_dataclass(hints[name]):
            built[name] = build(hints[name], {}, section=f"{section}.{name}")
        elif fields[name].default is fields[name].default_factory is dataclasses.MISSING:
            raise UserError(f"{section}.{name} is missing; give it as --{section}.{name}=VALUE")
    return kind(**built)


def _convert(hint, value, name: str):
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UserError(f"{name}={value!r}: a section, not a value; set its fields")
        return build(hint, value, section=name)
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
