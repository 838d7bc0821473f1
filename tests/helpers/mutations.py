"""Random damage of files."""

import random


def mutated(raw: bytes, seed: int) -> bytes:
    """`raw` after one to four random edits: a byte, a run, a cut, a repeat."""
    draw = random.Random(seed)
    out = bytearray(raw)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(out))
        match draw.randrange(5):
            case 0:
                out[at] ^= 1 << draw.randrange(8)
            case 1:
                out[at] = draw.randrange(256)
            case 2:
                out[at : at + 4] = draw.randbytes(4)
            case 3:
                del out[at : at + draw.randint(1, 8)]
            case 4:
                out[at:at] = out[at : at + draw.randint(1, 40)]
    return bytes(out)
