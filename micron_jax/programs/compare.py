"""`micron-jax compare`: our numbers beside the PyTorch release's."""

import dataclasses
from pathlib import Path

from micron_jax.programs import Arguments, write_json


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax compare",
        description="Compute what a recording of the PyTorch release holds, from the same weights "
        "and images, and compare: outputs, gradients, training curves, final state. Ends with 1 "
        "where a check fails.",
        allow_abbrev=False,
    )
    parser.add_argument("--recording", required=True, type=Path, metavar="FILE.npz")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the checks there as well")
    arguments = parser.parse_args(argv)

    from micron_jax.interop.parity import compare

    checks = []
    for check in compare(arguments.recording):
        if not checks:
            print(f"{'check':<30} {'error':>9}  {'bound':>7}")
        verdict = "ok" if check.ok else "FAILS"
        print(f"{check.name:<30} {check.error:9.2e}  {check.bound:7.0e}  {verdict}", flush=True)
        checks.append(check)
    failed = [check.name for check in checks if not check.ok]
    print(f"{len(checks) - len(failed)} of {len(checks)} checks within their bounds")
    if arguments.json:
        rows = [dataclasses.asdict(check) | {"ok": check.ok} for check in checks]
        write_json(arguments.json, {"ok": not failed, "checks": rows})
    return 1 if failed else 0
