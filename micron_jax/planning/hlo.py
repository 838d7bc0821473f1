"""Collectives in a compiled program's text: which, how often, how many bytes."""

import collections
import dataclasses
import math
import re

OPS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_ARRAY = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\]")
_BITS = re.compile(r"[a-z]+?([0-9]+)")


@dataclasses.dataclass(frozen=True)
class Collective:
    """All collectives of a kind over groups of a size.

    Attributes:
      op: one of `OPS`.
      group: devices that take part together.
      count: a step, those in loops as often as the loop runs.
      bytes: of the whole arrays that one device ends with (of `reduce-scatter`: begins with).
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

    A loop counts as often as its `known_trip_count` says or, without one, as its condition's
    comparison with a constant; one with neither counts once. Of a conditional every branch counts.

    Args:
      text: `compiled.as_text()`.
      devices: how many there are, for groups that the text leaves out.
    """
    entry, computations = _computations(text)
    found = collections.defaultdict(lambda: [0, 0])

    def walk(name: str, times: int) -> None:
        for kind, op, rest in computations.get(name, ()):
            base = op.removesuffix("-start")
            if base in OPS:
                group = _group_size(rest, devices)
                size = _result_bytes(kind, op) * (group if base == "reduce-scatter" else 1)
                found[base, group][0] += times
                found[base, group][1] += times * size
            elif op == "while":
                trips = _trip_count(rest, computations)
                if body := re.search(r"body=%?([\w.\-]+)", rest):
                    walk(body[1], times * trips)
            else:
                called = _CALLED.findall(rest)
                if branches := re.search(r"branch_computations=\{([^}]*)\}", rest):
                    called += [branch.strip().lstrip("%") for branch in branches[1].split(",")]
                for callee in called:
                    walk(callee, times)

    walk(entry, 1)
    return [Collective(*key, *value) for key, value in sorted(found.items())]


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
            kind, rest = _split_type(instruction[2])
            op, _, rest = rest.partition("(")
            computations[name].append((kind, op.strip(), rest))
    return entry, computations


def _split_type(text: str) -> tuple[str, str]:
    """`f32[2]{0} add(...)` or `(f32[2]{0}, ...) add(...)` in its type and what follows."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == " " and depth == 0:
            return text[:i], text[i + 1 :]
    return text, ""


def _result_bytes(kind: str, op: str) -> int:
    sizes = []
    parts = _parts(kind)
    if op in ("all-gather-start", "collective-permute-start"):
        parts = parts[1:2]  # (operand, result, contexts...)
    for part in parts:
        sizes += [
            math.prod(int(side) for side in shape.split(",") if side) * _item_bits(dtype)
            for dtype, shape in _ARRAY.findall(part)
        ]
    return math.ceil(sum(sizes) / 8)


def _item_bits(dtype: str) -> int:
    """Of an element: `bf16` 16, `f8e4m3fn` 8, `pred` 8, `token` 0; `c64` holds its two halves."""
    bits = _BITS.match(dtype)
    return int(bits[1]) if bits else {"pred": 8}.get(dtype, 0)


def _parts(kind: str) -> list[str]:
    """The elements of a tuple's type; of another type, itself."""
    if not kind.startswith("("):
        return [kind]
    parts, depth = [""], 0
    for character in kind[1:-1]:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


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
    if known := re.search(r'known_trip_count[^}]*?"n":"?(\d+)', rest):
        return int(known[1])
    condition = re.search(r"condition=%?([\w.\-]+)", rest)
    instructions = computations.get(condition[1], []) if condition else []
    compares = [rest for _, op, rest in instructions if op == "compare"]
    limits = [
        int(rest.partition(")")[0])
        for kind, op, rest in instructions
        if op == "constant" and re.match(r"[su]\d+\[\]", kind)
    ]
    # Scans and maps count from 0 in steps of 1.
    if len(limits) == 1 and len(compares) == 1 and "direction=LT" in compares[0]:
        return limits[0]
    return 1
