"""Collectives in a compiled program's text: kinds, counts, bytes."""

import collections
import dataclasses
import math
import re

OPS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
# `%x = f32[2]{0} add(...)` or `%x = (f32[2]{0}, ...) add(...)`: a type and an operation
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (.*?[\])}]) ([\w\-]+)\((.*)$")
_CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BODY = re.compile(r"body=%?([\w.\-]+)")
_ARRAY = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\]")
_BITS = re.compile(r"[a-z]+?([0-9]+)")


@dataclasses.dataclass(frozen=True)
class Collective:
    """All collectives of a kind over groups of a size.

    Attributes:
      op: one of `OPS`.
      group: number of devices that take part together.
      count: a step; in a loop, once a turn.
      bytes: of the whole arrays that one device ends with (`reduce-scatter`: begins with).
    """

    op: str
    group: int
    count: int
    bytes: int

    @property
    def sent(self) -> float:
        """Bytes that a device must send, with the best known algorithm (rings)."""
        if self.group == 1:
            return 0.0
        if self.op == "collective-permute":
            return float(self.bytes)
        share = self.bytes * (self.group - 1) / self.group
        return 2 * share if self.op == "all-reduce" else share


def find_collectives(text: str, *, devices: int) -> list[Collective]:
    """The collectives of an HLO module, loops unrolled.

    A loop counts by its `known_trip_count` or, without one, by its condition's comparison with a
    constant; one with neither counts once. Every branch of a conditional counts.

    Args:
      text: `compiled.as_text()`.
      devices: number of all, for groups that the text leaves out.
    """
    entry, computations = _computations(text)
    totals: dict[tuple[str, int], list[int]] = collections.defaultdict(lambda: [0, 0])
    waiting = [(entry, 1)]
    while waiting:
        name, times = waiting.pop()
        for kind, op, rest in computations.get(name, ()):
            base = op.removesuffix("-start")
            if base in OPS:
                group = _group_size(rest, devices)
                size = _result_bytes(kind, op) * (group if base == "reduce-scatter" else 1)
                totals[base, group][0] += times
                totals[base, group][1] += times * size
            elif op == "while":
                trips = _trip_count(rest, computations)
                waiting += [(body, times * trips) for body in re.findall(_BODY, rest)]
            else:
                branches = re.findall(r"branch_computations=\{([^}]*)\}", rest)
                called = _CALLED.findall(rest) + re.findall(r"[\w.\-]+", " ".join(branches))
                waiting += [(callee, times) for callee in called]
    return [Collective(*key, *total) for key, total in sorted(totals.items())]


def _computations(text: str) -> tuple[str, dict[str, list[tuple[str, str, str]]]]:
    """The entry's name, and of each computation its instructions as (type, opcode, rest)."""
    entry, name, computations = "", "", {}
    for line in text.splitlines():
        line = re.sub(r"/\*.*?\*/", "", line)
        if not line.startswith(" "):
            if start := _COMPUTATION.match(line):
                name = start[2]
                computations[name] = []
                entry = name if start[1] else entry
        elif name and (instruction := _INSTRUCTION.match(line)):
            computations[name].append(instruction.groups())
    return entry, computations


def _split(text: str) -> list[str]:
    """Splits at commas outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _result_bytes(kind: str, op: str) -> int:
    parts = _split(kind[1:-1]) if kind.startswith("(") else [kind]
    if op in ("all-gather-start", "collective-permute-start"):
        parts = parts[1:2]  # (operand, result, contexts...)
    bits = 0
    for dtype, shape in _ARRAY.findall(" ".join(parts)):
        bits += math.prod(int(side) for side in shape.split(",") if side) * _item_bits(dtype)
    return math.ceil(bits / 8)


def _item_bits(dtype: str) -> int:
    """Bits of an element: `bf16` 16, `f8e4m3fn` 8, `pred` 8, `token` 0, `c64` 64."""
    bits = _BITS.match(dtype)
    return int(bits[1]) if bits else 8 * (dtype == "pred")


def _group_size(rest: str, devices: int) -> int:
    if mesh := re.search(r"replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}", rest):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'([^']+)'", mesh[2]))
    if iota := re.search(r"replica_groups=\[\d+,(\d+)\]", rest):
        return int(iota[1])
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", rest):
        return listed[1].count(",") + 1
    return devices


def _trip_count(rest: str, computations: dict) -> int:
    if count := re.search(r'known_trip_count[^}]*?"n":"?(\d+)', rest):
        return int(count[1])
    condition = re.search(r"condition=%?([\w.\-]+)", rest)
    instructions = computations.get(condition[1], []) if condition else []
    compares = [rest for _, op, rest in instructions if op == "compare"]
    limits = [
        int(rest.partition(")")[0])
        for kind, op, rest in instructions
        if op == "constant" and re.match(r"[su]\d+\[\]", kind)
    ]
    # Scans and maps count from 0 in steps of 1.
    counts = len(limits) == 1 and len(compares) == 1 and "direction=LT" in compares[0]
    return limits[0] if counts else 1
