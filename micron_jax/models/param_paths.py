"""Ordered pattern -> value rules over the paths of a tree."""

import re

import jax


def path_of(key_path) -> str:
    """`encoder/block_0/attn/qkv/kernel` for a key path of `jax.tree_util`."""
    return jax.tree_util.keystr(key_path, simple=True, separator="/")


def match(rules, path: str):
    """The value of the first rule whose pattern is found in the path; if none is, a `KeyError`."""
    for pattern, value in rules:
        if re.search(pattern, path):
            return value
    raise KeyError(f"no rule for parameter {path!r}: add one to {[p for p, _ in rules]}")
