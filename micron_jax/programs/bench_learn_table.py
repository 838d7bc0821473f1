"""The table of `micron-jax bench learn`: what a displacement and a ranking are worth."""

from micron_jax.programs.output import decimals, percent

RIVALS = ("farneback", "dis", "tvl1", "both", "all")
# Read-outs with a displacement, then those with a map alone.
DISPLACEMENTS = ("ours", "flow", *(f"{x}_{rest}" for x in RIVALS for rest in ("affine", "median")))
DISPLACEMENTS += ("zero",)
MAPS = ("symmetric", "cosine", "release", "difference", "random", "location", "shuffled")


def table(report: dict) -> list[str]:
    """Formats a report of `benchmarks.learn.measure`."""
    readouts = report["readouts"]
    px = [x for x in readouts["zero"]["stratified"] if readouts["ours"][x]["clips"]]
    errors = [name for name in DISPLACEMENTS if "epe" in readouts.get(name, {})]
    kinds = ", ".join(f"{count} {kind}" for kind, count in report["kinds"].items())
    lines = [
        f"{report['people']} people ({report['split']}), {report['clips']} clips, of these "
        f"motionless: {report['motionless']} ({kinds})",
        *_section("error of the displacement in the face, px (0: motionless)", ["0", *px]),
        *(_row(name, readouts[name]["epe"], ["0", *px]) for name in errors),
        *_section("the same, of the patches that move", px),
        *(_row(name, readouts[name]["epe_moved"], px) for name in errors),
        *_section("correlation of lengths: all, and by amplitude", ["all", *px]),
        *(
            _row(
                name,
                {"all": readouts[name]["correlation"]} | readouts[name]["correlation_at"],
                ["all", *px],
            )
            for name in errors
            if name != "zero"
        ),
        *_section("stratified AUC; last: false positives", px),
    ]
    for name in (*DISPLACEMENTS, *MAPS):
        if name in readouts and name != "zero":
            of = readouts[name]
            lines.append(_row(name, of["stratified"], px) + f"{percent(of['false_positives']):>9}")
    lines += _areas({name: readouts[name] for name in errors if name != "zero"}, px)
    lines += _calibration(readouts["ours"].get("calibration"))
    lines += ["", f"ours is {report['ours']}; flow ranks by {report['chosen']['flow']}, and its"]
    lines[-1] += f" displacement is {report['chosen_by_error']['flow']}"
    lines += _over_flow(report["over_flow"], px)
    if not report["chosen_on"]:
        lines.append(
            "nobody else to choose on: the rivals have their default settings, and there is no "
            "`location` and no noise floor; --choose-dir names a set with val or train people"
        )
    return lines


def _section(title: str, columns: list[str]) -> list[str]:
    return ["", title, f"{'px':<20}" + "".join(f"{x:<7}" for x in columns)]


def _row(name: str, values: dict, columns: list[str]) -> str:
    return f"{name:<20}" + "".join(f"{decimals(values[x])}  " for x in columns)


def _areas(readouts: dict, px: list[str]) -> list[str]:
    """Lines of the area lit over the area moved, and of what is lit where nothing moves."""
    named = {name: of for name, of in readouts.items() if of.get("area")}
    if not named:
        return []
    lines = _section("area lit / area moved (above the floor); last: lit if motionless, floor", px)
    for name, of in named.items():
        ratios = {x: of["area"][x]["ratio"] for x in px}
        lit = percent(of["area"]["0"]["lit"])
        lines.append(_row(name, ratios, px) + f"{lit:>9}  {of['floor']:.2f} px")
    return lines


def _calibration(of: dict | None) -> list[str]:
    if not of:
        return []
    shares = ", ".join(
        f"{100 * float(p):g} %: {percent(share)}" for p, share in of["coverage"].items()
    )
    deciles = " ".join(f"{x['scale']:.2f}/{x['error']:.2f}" for x in of["deciles"])
    return ["", f"intervals of ours hold: {shares}", f"its scale / its error, px: {deciles}"]


def _over_flow(over: dict, px: list[str]) -> list[str]:
    lines = []
    stratified = ", ".join(
        f"{x} px {over[x]['difference']:+.3f} ({over[x]['low']:+.3f} to {over[x]['high']:+.3f})"
        for x in px
        if over[x]["low"] is not None
    )
    if stratified:
        lines.append(f"stratified AUC, ours less flow, the same people: {stratified}")
    ratios = ", ".join(
        f"{x} px {of['ratio']:.2f} ({of['ratio_low']:.2f} to {of['ratio_high']:.2f})"
        for x in px
        if (of := over.get("epe", {}).get(x)) and of["ratio_low"] is not None
    )
    if ratios:
        lines.append(f"error, ours over flow: {ratios}")
    return lines
