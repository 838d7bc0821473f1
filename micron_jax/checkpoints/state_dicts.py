"""The release's state dict within whatever a training script has saved.

Scripts wrap it in dictionaries (`model`, `state_dict`, `net`, ...), and what wraps the network puts
words before its names, or among them: DataParallel, `torch.compile`, FSDP, Lightning.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from micron_jax.checkpoints.pickle_objects import Placeholder, fields_of
from micron_jax.errors import UserError

_WRAPPERS = {  # parts of names that stand for no part of the network
    "module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module",
    "_fpw_module",
}  # fmt: skip
_ANCHOR = "patch_embed.proj.weight"  # every encoder has one
_BACKBONE = ("patch_embed.", "blocks.", "norm.", "cls_token", "pos_embed")
_NEW_NAMES = {  # of torch.nn.utils.parametrizations.weight_norm -> of torch.nn.utils.weight_norm
    "last_layer.parametrizations.weight.original0": "last_layer.weight_g",
    "last_layer.parametrizations.weight.original1": "last_layer.weight_v",
}
# The network's own parts. An unknown array among them changes what the network computes.
_PARTS = ("backbone.", "att.", "decoder_", "student.", "teacher.", "dino_loss_fn.")
_AVERAGES = ("ema", "average", "avg", "shadow", "swa", "momentum", "target", "teacher")
_ARGS = ("args", "hyper_parameters", "hparams", "config", "cfg", "opt", "options", "model", "net")
_NEEDED = ("model_name", "arch", "diag_att", "num_heads", "decoder_num_heads")
_DEPTH, _MOST_VALUES = 4, 20_000  # of dictionaries in dictionaries that are looked through


class State(NamedTuple):
    """The arrays of a network, by the release's names.

    Attributes:
      arrays: of any dtype; of an object of another class a `Placeholder`.
      twins: those that stand once more below `student.`, where they share their memory.
      outside: names of what lies beside them and belongs to no part of the network.
      settings: what the network's own objects say of it, where they were saved as objects.
      notices: sentences about what was chosen.
    """

    arrays: dict[str, Any]
    twins: dict[str, Any]
    outside: list[str]
    settings: dict[str, Any]
    notices: list[str]


def find_state(checkpoint: Any, choice: str | None = None) -> State:
    """Returns the network's state dict in what a file holds.

    Args:
      choice: where it is, as the message about several names it: `ema`, `state_dict/teacher`.

    Raises:
      UserError: there is none, or there are several; the message lacks the file's name.
    """
    places: dict[str, State] = {}
    _find(checkpoint, "", places, [_MOST_VALUES], _DEPTH)
    if not places:
        raise UserError(
            f"lacks {_ANCHOR}, under whatever name, so it is not a checkpoint of Micron-BERT"
        )
    place, notices = _chosen(list(places), choice)
    state = places[place]._replace(notices=notices)
    for name in (*state.arrays, *state.outside):
        if not name.isprintable():
            raise UserError(f"holds an array named {name}, as no module names one; copy it again")
    return _without_lone_teacher(state)


def _without_lone_teacher(state: State) -> State:
    """The same without a teacher's part where no student's head is, to which it belongs."""
    dino = ("student.", "teacher.", "dino_loss_fn.")
    if any(name.startswith("student.head.") for name in state.arrays):
        return state
    arrays = {name: x for name, x in state.arrays.items() if not name.startswith(dino)}
    if len(arrays) == len(state.arrays):
        return state
    notice = "left out a teacher, as there is no head of the student (student.head) beside it"
    return state._replace(arrays=arrays, notices=[*state.notices, notice])


def args_in(checkpoint: Any) -> dict:
    """Returns the settings that a training script has saved beside the network, flat."""
    fields, settings = fields_of(checkpoint), {}
    for name in _ARGS:
        _add_settings(settings, fields.get(name), depth=2)
    beside = {name: fields[name] for name in _NEEDED if name in fields}
    return beside | settings


def _add_settings(settings: dict, value: Any, *, depth: int) -> None:
    """Adds the settings of a namespace or dictionary, then those of the ones within it."""
    fields = fields_of(value)
    if "_parameters" in fields or any(f".{n}".endswith((".weight", ".bias")) for n in fields):
        return  # a state dict
    for name, setting in fields.items():
        if isinstance(name, str):
            settings.setdefault(name, setting)
    for name in _ARGS if depth else ():
        _add_settings(settings, fields.get(name), depth=depth - 1)


def bare(name: str) -> str:
    """Returns a name without the parts that wrappers put into it, and with the older weight norm's.

    `_orig_mod.student.module.backbone.cls_token` -> `student.backbone.cls_token`.
    """
    name = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
    for new, old in _NEW_NAMES.items():
        if name.endswith(new):
            name = name.removesuffix(new) + old
    return name


def _find(value: Any, path: str, places: dict, left: list[int], depth: int) -> None:
    """Adds the networks in a value, and in what it holds, to `places`.

    `left`: how many dictionaries may still be looked through.
    """
    left[0] -= 1
    if left[0] < 0:
        return
    module, settings = _of_module(value)
    fields = {n: x for n, x in (module or fields_of(value)).items() if isinstance(n, str)}
    names: dict[str, Any] = {}
    for name, entry in fields.items():
        if names.setdefault(bare(name), entry) is not entry:
            raise UserError(f"holds {bare(name)} twice, once as {name}")
    for root, is_backbone in _roots(names).items():
        place = "/".join(filter(None, (path, root.rstrip("."))))
        places[place] = _split(names, root, settings, is_backbone=is_backbone)
    for name, entry in fields.items() if depth and not module else ():
        if fields_of(entry):
            _find(entry, f"{path}/{name}".lstrip("/"), places, left, depth - 1)


def _roots(names: Mapping) -> dict[str, bool]:
    """What stands before the names of each network -> whether it is an encoder alone."""
    anchors = [n.removesuffix(_ANCHOR) for n in names if f".{n}".endswith(f".{_ANCHOR}")]
    roots = {a.removesuffix("backbone."): False for a in anchors if a.endswith("backbone.")}
    alone = {a: True for a in anchors if not a.endswith("backbone.")}
    own = ("att.", "decoder_", "student.", "dino_loss_fn.")  # of a whole network
    halves = [r for r in roots if not any(n.startswith(tuple(r + o for o in own)) for n in names)]
    for part, other in (("student.", "teacher."), ("teacher.", "student.")):
        for root in [root for root in halves if f".{root}".endswith(f".{part}")]:
            whole = root.removesuffix(part)
            if part == "student." or whole in roots or f"{whole}{other}" in roots:
                del roots[root]  # a part of the network
                roots[whole] = False
    return roots | alone


def _split(names: Mapping, root: str, settings: dict, *, is_backbone: bool) -> State:
    """The network below a root, by the release's names; the rest lies outside."""
    arrays, twins, outside = {}, {}, []
    for name, value in names.items():
        inner = name.removeprefix(root)
        own = inner.startswith(_BACKBONE if is_backbone else (*_PARTS, "fc."))
        inner = f"backbone.{inner}" if is_backbone else inner
        if not name.startswith(root) or not own:
            outside += [name] if isinstance(value, np.ndarray | Placeholder) else []
        elif inner.startswith("student.backbone."):
            twins[inner.removeprefix("student.")] = value
        else:
            arrays[inner] = value
    return State(twins | arrays, twins, outside, settings, [])


def _chosen(places: list[str], choice: str | None) -> tuple[str, list[str]]:
    """The place of the network that is read, and a sentence about others."""
    if choice is not None:
        if choice not in places:
            raise UserError(f"holds no network in {choice!r}; it holds one in {_listed(places)}")
        return choice, []
    plain = [place for place in places if not _is_average(place)] or places
    preferred = [place for place in plain if place.split("/")[0] == "model"]  # as the release
    if len(plain) > 1 and len(preferred) == 1:
        plain = preferred
    if len(plain) > 1:
        raise UserError(f"holds several networks, in {_listed(places)}: choose one by state")
    others = [place for place in places if place != plain[0]]
    if not others:
        return plain[0], []
    return plain[0], [f"took the network in {_shown(plain[0])}, not that in {_listed(others)}"]


def _is_average(place: str) -> bool:
    words = place.lower().replace("/", ".").replace("_", ".").split(".")
    return any(word in _AVERAGES for word in words)


def _shown(place: str) -> str:
    return repr(place) if place else "the file itself"


def _listed(places: list[str]) -> str:
    more = f" and {len(places) - 5} more" if len(places) > 5 else ""
    return ", ".join(map(_shown, places[:5])) + more


def _of_module(value: Any) -> tuple[dict, dict]:
    """State dict and settings of a network that was saved as an object, as by `torch.save(model)`.

    Both are empty where it is none.
    """
    state: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    parts = [("", value, 0)]
    for prefix, module, depth in parts:  # which grows
        fields = fields_of(module) if isinstance(module, Placeholder) else {}
        if "_parameters" not in fields or depth > 20 or len(parts) > 10_000:
            continue
        for group in ("_parameters", "_buffers"):
            entries = fields_of(fields.get(group)).items()
            state |= {f"{prefix}{name}": x for name, x in entries if x is not None}
        modules = fields_of(fields.get("_modules")).items()
        parts += [(f"{prefix}{name}.", inner, depth + 1) for name, inner in modules]
        if "diag_att" in fields:
            settings["diag_att"] = fields["diag_att"]
        if prefix.endswith("blocks.0.attn.") and "num_heads" in fields:
            decoder = prefix.endswith("decoder_blocks.0.attn.")
            settings["decoder_num_heads" if decoder else "num_heads"] = fields["num_heads"]
    return state, settings
