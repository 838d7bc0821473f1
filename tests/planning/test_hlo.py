import pytest

from micron_jax.planning.hlo import Collective, find_collectives

ADD = "%add (a: f32[], b: f32[]) -> f32[] {\n  ROOT %sum = f32[] add(%a, %b)\n}\n"


def entry(*lines):
    body = "\n".join(f"  {line}" for line in lines)
    return f"HloModule m\n\n{ADD}\nENTRY %main (p: f32[8]) -> f32[8] {{\n{body}\n}}\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "%r = f32[8,4]{1,0:T(8,128)S(1)} all-reduce(%p), replica_groups={}, to_apply=%add",
            Collective("all-reduce", 16, 1, 128),
        ),
        (
            "ROOT %r = (bf16[3,4]{1,0:T(4,128)(2,1)}, /*index=1*/f32[]{:T(128)}) all-reduce(%p, "
            "%q), replica_groups=mesh['a'=4,'b'=4,'c'=2] {'a','c'}, to_apply=%add",
            Collective("all-reduce", 8, 1, 28),
        ),
        (
            "%r = f32[10]{0} all-reduce-start(%p), replica_groups=[2,8]<=[16], to_apply=%add",
            Collective("all-reduce", 8, 1, 40),
        ),
        (
            "%g = (f32[2]{0}, f32[8]{0}) all-gather-start(%p), replica_groups={{0,1,2,3},{4,5,6,7}}"
            ", dimensions={0}",
            Collective("all-gather", 4, 1, 32),
        ),
        (
            "%s = bf16[5]{0} reduce-scatter(%p), replica_groups=[4,4]<=[4,4]T(1,0), to_apply=%add",
            Collective("reduce-scatter", 4, 1, 40),
        ),
        (
            "%c = (u8[100]{0}, u8[100]{0}, u32[], u32[]) collective-permute-start(%p), "
            "source_target_pairs={{0,1},{1,0}}",
            Collective("collective-permute", 16, 1, 100),
        ),
        (
            "%t = (s4[4]{0}, s4[4]{0}) all-to-all(%p, %q), replica_groups={{0,1}}",
            Collective("all-to-all", 2, 1, 4),
        ),
        (
            "%r = (pred[3]{0}, f8e4m3fn[2]{0}, c64[2]{0}) all-gather(%p, %q, %z), "
            "replica_groups={{0,1}}, dimensions={0}",
            Collective("all-gather", 2, 1, 21),
        ),
    ],
)
def test_each_form(line, expected):
    assert find_collectives(entry(line), devices=16) == [expected]


def test_lookalikes_do_not_count():
    text = entry(
        "%d = f32[8]{0} all-reduce-done(%r)",
        '%f = f32[8]{0} add(%p, %p), metadata={op_name="all-reduce(x)"}',
        "%g = f32[8]{0} get-tuple-element(%all-reduce.3), index=0",
    )
    assert find_collectives(text, devices=4) == []


def loop(*, condition, config=""):
    return f"""HloModule m
{ADD}
%body (x: (s32[], f32[8])) -> (s32[], f32[8]) {{
  %r = f32[8]{{0}} all-reduce(%v), replica_groups={{{{0,1}}}}, to_apply=%add
}}
%cond (x: (s32[], f32[8])) -> pred[] {{
{condition}
}}
%outer_body (x: (s32[])) -> (s32[]) {{
  %w = (s32[], f32[8]{{0}}) while(%t), condition=%cond, body=%body{config}
}}
ENTRY %main (p: f32[8]) -> f32[8] {{
  %w = (s32[], f32[8]{{0}}) while(%t), condition=%c, body=%outer_body, \
backend_config={{"known_trip_count":{{"n":"3"}}}}
  %r = f32[8]{{0}} all-reduce(%v), replica_groups={{{{0,1}}}}, to_apply=%add
}}
"""


@pytest.mark.parametrize(
    ("condition", "config", "inner"),
    [
        (
            "  %n = s32[]{:T(128)} constant(7)\n"
            "  ROOT %lt = pred[]{:T(512)} compare(%i, %n), direction=LT",
            "",
            7,
        ),
        ("", ', backend_config={"known_trip_count":{"n":"5"}}', 5),
        ("  ROOT %ne = pred[] compare(%i, %n), direction=NE", "", 1),
    ],
)
def test_loops_count_as_often_as_they_run(condition, config, inner):
    (collectives,) = find_collectives(loop(condition=condition, config=config), devices=2)
    assert collectives == Collective("all-reduce", 2, 3 * inner + 1, 32 * (3 * inner + 1))


def test_called_computations_count():
    text = f"""HloModule m
{ADD}
%wrapped (p: f32[8]) -> f32[2] {{
  ROOT %s = f32[2]{{0}} reduce-scatter(%p), replica_groups={{{{0,1,2,3}}}}, to_apply=%add
}}
%left (p: f32[8]) -> f32[8] {{
  ROOT %g = f32[8]{{0}} all-gather(%p), replica_groups={{{{0,1,2,3}}}}
}}
ENTRY %main (p: f32[8]) -> f32[8] {{
  %a = ((f32[8]{{0}}), f32[2]{{0}}) async-start(%p), calls=%wrapped
  %f = f32[2]{{0}} fusion(%p), kind=kCustom, calls=%wrapped
  %c = f32[8]{{0}} conditional(%i, %p, %p), branch_computations={{%left, %left}}
}}
"""
    assert find_collectives(text, devices=4) == [
        Collective("all-gather", 4, 2, 64),
        Collective("reduce-scatter", 4, 2, 64),
    ]


@pytest.mark.parametrize(
    ("op", "group", "sent"),
    [
        ("all-reduce", 4, 150),
        ("all-gather", 4, 75),
        ("reduce-scatter", 4, 75),
        ("collective-permute", 4, 100),
        ("all-reduce", 1, 0),
    ],
)
def test_bytes_sent_by_a_device(op, group, sent):
    assert Collective(op, group, 1, 100).sent == sent


def test_a_real_program():
    import jax
    import jax.numpy as jnp
    from jax.sharding import AxisType, NamedSharding
    from jax.sharding import PartitionSpec as P

    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    rows, everywhere = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())

    def loop(x):
        return jax.lax.scan(lambda c, _: (c + jnp.cos(x).sum(0) * c.sum(), None), x[0], length=6)[0]

    text = (
        jax.jit(loop, in_shardings=rows, out_shardings=everywhere)
        .lower(jax.ShapeDtypeStruct((16, 4), jnp.float32))
        .compile()
        .as_text()
    )
    collectives = find_collectives(text, devices=8)
    assert {c.op for c in collectives} <= {"all-reduce", "all-gather", "collective-permute"}
    assert sum(c.bytes for c in collectives if c.op == "all-reduce") >= 16
    assert all(c.group == 8 for c in collectives)
