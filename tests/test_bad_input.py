"""Bad arguments: the documented exception, a message that begins with the argument's name, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hintoncore as hc

BATCH, N_VISIBLE, N_HIDDEN, N_CHAINS = 6, 5, 4, 7

Arguments = dict[str, Any]


def gibbs_arguments() -> Arguments:
    rng = np.random.default_rng(0)
    return {
        "v": (rng.random((BATCH, N_VISIBLE)) < 0.5).astype(np.float32),
        "w": rng.normal(size=(N_VISIBLE, N_HIDDEN)).astype(np.float32),
        "b": rng.normal(size=N_HIDDEN).astype(np.float32),
        "rng": hc.Generator(1, 3),
    }


def cd_arguments() -> Arguments:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return {
        "v0": (rng.random((BATCH, N_VISIBLE)) < 0.5).astype(np.float32),
        "w": normal(N_VISIBLE, N_HIDDEN),
        "b_vis": normal(N_VISIBLE),
        "b_hid": normal(N_HIDDEN),
        "lr": 0.1,
        "momentum": 0.5,
        "weight_decay": 0.01,
        "velocity": (normal(N_VISIBLE, N_HIDDEN), normal(N_VISIBLE), normal(N_HIDDEN)),
        "chains": hc.BitMatrix.from_dense(rng.random((N_CHAINS, N_VISIBLE)) < 0.5),
        "rng": hc.Generator(1, 3),
    }


def contents(arguments: Arguments) -> list[bytes]:
    found = []
    for value in arguments.values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, hc.BitMatrix):
                found.append(part.words.tobytes())
            elif isinstance(part, np.ndarray):
                found.append(repr(part.tolist()).encode() if part.dtype == object else part.tobytes())
            elif isinstance(part, hc.Generator):
                found.append(repr(part).encode())
    return found


def refuses(op: Callable[..., Any], arguments: Arguments, name: str, *kinds: type[Exception]) -> None:
    """`op` raises one of `kinds` (or ValueError or TypeError) about `name`, and leaves every argument as it was."""
    before = contents(arguments)
    with pytest.raises(kinds or (ValueError, TypeError), match=rf"^({name})(?!\w)"):
        op(**arguments)
    assert contents(arguments) == before


GIBBS, CD = (hc.ops.gibbs_step, gibbs_arguments), (hc.ops.cd_update, cd_arguments)
OPS = pytest.mark.parametrize(("op", "make"), [GIBBS, CD], ids=["gibbs_step", "cd_update"])

# What the extension calls a dense state when its values are refused; shapes say "v".
STATES = {"v": "v|states", "v0": "v0"}


def arrays_of(arguments: Arguments) -> list[str]:
    return [name for name, value in arguments.items() if isinstance(value, np.ndarray)]


def test_the_arguments_are_good() -> None:
    hc.ops.gibbs_step(**gibbs_arguments())
    hc.ops.cd_update(**cd_arguments())


NO_ARRAYS = [
    None,
    "text",
    b"bytes",
    object(),
    {},
    {1.0},
    np.array(["a"]),
    np.array([None]),
    np.array([[1j]]),
    np.array([["2020-01-01"]], "M8[D]"),
    np.array([(1, 2.0)], "i4,f4"),
    [[1.0, "x"]],
    [[object()]],
    lambda: None,
]


@OPS
@pytest.mark.parametrize("bad", NO_ARRAYS, ids=lambda x: type(x).__name__)
def test_what_is_no_array_of_numbers_is_a_type_error(op: Any, make: Any, bad: Any) -> None:
    for name in arrays_of(make()):
        refuses(op, {**make(), name: bad}, name, TypeError)


shapes = st.lists(st.integers(0, 7), max_size=4).map(tuple)


@given(data=st.data(), shape=shapes)
def test_any_other_shape_is_refused(data: st.DataObject, shape: tuple[int, ...]) -> None:
    op, make = data.draw(st.sampled_from([GIBBS, CD]))
    arguments = make()
    name = data.draw(st.sampled_from(arrays_of(arguments)))
    good = arguments[name].shape
    if shape == good or (name in STATES and len(shape) == 2 and shape[0] > 0 and shape[1] == N_VISIBLE):
        return
    # An argument is measured by w, so that a wrong w may be told by its neighbours, and states by their number.
    others = f"{name}|v|v0|b|b_vis|b_hid" if name == "w" else name
    refuses(op, {**arguments, name: np.zeros(shape, np.float32)}, others, ValueError)


@given(data=st.data(), shape=shapes)
def test_any_other_shape_of_velocity_is_refused(data: st.DataObject, shape: tuple[int, ...]) -> None:
    arguments = cd_arguments()
    i = data.draw(st.integers(0, 2))
    if shape == arguments["velocity"][i].shape:
        return
    velocity = list(arguments["velocity"])
    velocity[i] = np.zeros(shape, np.float32)
    refuses(hc.ops.cd_update, {**arguments, "velocity": tuple(velocity)}, rf"velocity\[{i}\]|velocity", ValueError)


@given(rows=st.integers(1, 200), units=st.integers(1, 12))
def test_any_other_number_of_packed_units_is_refused(rows: int, units: int) -> None:
    if units == N_VISIBLE:
        return
    bad = hc.BitMatrix.zeros((rows, units))
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "v": bad}, "v", ValueError)
    for name in ("v0", "chains"):
        refuses(hc.ops.cd_update, {**cd_arguments(), name: bad}, name, ValueError)


def test_the_other_direction_measures_by_the_other_side() -> None:
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "transpose": True}, "h|b", ValueError)
    h = np.ones((BATCH, N_HIDDEN), np.float32)
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "v": h, "transpose": True}, "b", ValueError)
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "v": h}, "v", ValueError)


@pytest.mark.parametrize("name", ["w", "b_vis", "b_hid", 0, 1, 2])
@pytest.mark.parametrize("how", ["read-only", "strided", "float64", "float16", "int", "list", "big-endian"])
def test_what_is_written_in_place_must_be_writeable_contiguous_float32(name: Any, how: str) -> None:
    arguments = cd_arguments()
    good = arguments[name] if isinstance(name, str) else arguments["velocity"][name]
    bad: Any = good
    if how == "read-only":
        bad.flags.writeable = False
    elif how == "strided":
        bad = np.repeat(good, 2, axis=-1)[..., ::2]
    elif how == "list":
        bad = good.tolist()
    else:
        bad = good.astype({"float64": "f8", "float16": "f2", "int": "i4", "big-endian": ">f4"}[how])
    if isinstance(name, str):
        refuses(hc.ops.cd_update, {**arguments, name: bad}, name)
    else:
        velocity = tuple(bad if i == name else v for i, v in enumerate(arguments["velocity"]))
        refuses(hc.ops.cd_update, {**arguments, "velocity": velocity}, rf"velocity\[{name}\]")


def test_a_transposed_view_is_refused_in_place_and_read_elsewhere() -> None:
    arguments = gibbs_arguments()
    wanted = hc.ops.gibbs_step(**{**arguments, "rng": 1})
    np.testing.assert_array_equal(
        hc.ops.gibbs_step(**{**arguments, "rng": 1, "w": np.asfortranarray(arguments["w"])}), wanted
    )
    refuses(hc.ops.cd_update, {**cd_arguments(), "w": np.asfortranarray(cd_arguments()["w"])}, "w", ValueError)


def test_read_only_chains_are_refused() -> None:
    arguments = cd_arguments()
    arguments["chains"].words.flags.writeable = False
    refuses(hc.ops.cd_update, arguments, "chains", ValueError)


def test_arrays_written_in_place_must_not_overlap() -> None:
    pool = np.ones(200, np.float32)
    arguments = cd_arguments()
    good = arguments["velocity"]
    overlaps: list[Arguments] = [
        {"velocity": (arguments["w"], good[1], good[2])},
        {"velocity": (good[0], arguments["b_vis"], good[2])},
        {"velocity": (good[0], good[1], arguments["b_hid"])},
        {"velocity": (good[0], good[0].ravel()[:N_VISIBLE], good[2])},
        {"b_vis": pool[:N_VISIBLE], "b_hid": pool[N_VISIBLE - 1 :][:N_HIDDEN]},
        {"w": pool[:20].reshape(N_VISIBLE, N_HIDDEN), "b_hid": pool[19 : 19 + N_HIDDEN]},
    ]
    for overlap in overlaps:
        refuses(hc.ops.cd_update, {**arguments, **overlap}, "w|velocity|b_vis|b_hid", ValueError)
    # Neighbours in one block of memory are fine: that is how a flat parameter vector looks.
    flat = {
        "w": pool[:20].reshape(N_VISIBLE, N_HIDDEN),
        "b_vis": pool[20 : 20 + N_VISIBLE],
        "b_hid": pool[20 + N_VISIBLE :][:N_HIDDEN],
    }
    hc.ops.cd_update(**{**arguments, **flat})


def test_data_that_is_written_is_refused() -> None:
    """v0 is read after the parameters are written."""
    arguments = cd_arguments()
    shared = np.full((N_VISIBLE, N_VISIBLE), 0.25, np.float32)
    square = {"w": shared, "b_hid": np.zeros(N_VISIBLE, np.float32), "velocity": None, "momentum": 0.0}
    refuses(hc.ops.cd_update, {**arguments, **square, "v0": shared}, "v0|w", ValueError)


@given(value=st.floats(width=32), name=st.sampled_from(["lr", "momentum", "weight_decay"]))
def test_rates_out_of_range_are_refused(value: float, name: str) -> None:
    low, high = 0.0, {"lr": 1.0, "momentum": 0.999, "weight_decay": 1.0}[name]
    arguments = {**cd_arguments(), name: value}
    if low <= value <= high:
        hc.ops.cd_update(**arguments)
    elif not (0 <= value <= float(np.finfo(np.float32).max)) or (name == "momentum" and value >= 1):
        refuses(hc.ops.cd_update, arguments, name, ValueError)


@pytest.mark.parametrize(
    "bad", ["0.1", None, 1j, [0.1], (1,), {}, True, b"1", object()], ids=lambda bad: type(bad).__name__
)
def test_what_is_no_number_is_a_type_error(bad: Any) -> None:
    for name in ("lr", "momentum", "weight_decay"):
        refuses(hc.ops.cd_update, {**cd_arguments(), name: bad}, name, TypeError)
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "temperature": bad}, "temperature", TypeError)


@pytest.mark.parametrize(
    "bad",
    [10**400, -(10**400), 1e39, np.float64(1e300), np.nan, -np.inf],
    ids=["10^400", "-10^400", "1e39", "1e300", "nan", "-inf"],
)
def test_numbers_float32_cannot_hold_are_refused(bad: Any) -> None:
    for name in ("lr", "momentum", "weight_decay"):
        refuses(hc.ops.cd_update, {**cd_arguments(), name: bad}, name, ValueError)
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "temperature": bad}, "temperature", ValueError)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [(0, ValueError), (-1, ValueError), (2**31, ValueError), (2**64, ValueError), (-(10**30), ValueError)]
    + [(bad, TypeError) for bad in (1.0, "1", None, True, [1], 1j)],
    ids=repr,
)
def test_k(bad: Any, kind: type[Exception]) -> None:
    refuses(hc.ops.cd_update, {**cd_arguments(), "k": bad}, "k", kind)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [(-64, ValueError), (63, ValueError), (1, ValueError), (2**34, ValueError), (2**63, ValueError)]
    + [(bad, TypeError) for bad in (64.0, "64", None, False)],
    ids=repr,
)
def test_first_sample(bad: Any, kind: type[Exception]) -> None:
    refuses(hc.ops.gibbs_step, {**gibbs_arguments(), "first_sample": bad}, "first_sample", kind)


@OPS
@pytest.mark.parametrize(
    ("bad", "kind"),
    [(-1, ValueError), (2**64, ValueError)]
    + [(bad, TypeError) for bad in (None, 1.0, "1", True, np.random.default_rng(0), [1], object())],
    ids=lambda x: type(x).__name__,
)
def test_rng(op: Any, make: Any, bad: Any, kind: type[Exception]) -> None:
    refuses(op, {**make(), "rng": bad}, "rng", kind)


@pytest.mark.parametrize("bad", [1, "abc", (), (1, 2), np.zeros((3, 5)), [None] * 3, {"w": 1, "b": 2, "c": 3}], ids=str)
def test_velocity_is_a_tuple_of_three_arrays(bad: Any) -> None:
    refuses(hc.ops.cd_update, {**cd_arguments(), "velocity": bad}, "velocity", TypeError)


def test_momentum_needs_a_velocity() -> None:
    refuses(hc.ops.cd_update, {**cd_arguments(), "velocity": None}, "velocity", ValueError)


@pytest.mark.parametrize("bad", [1, "abc", np.zeros((6, 5), np.float32), [[1, 0]]], ids=str)
def test_chains_are_a_bit_matrix(bad: Any) -> None:
    refuses(hc.ops.cd_update, {**cd_arguments(), "chains": bad}, "chains", TypeError)


@pytest.mark.parametrize("op", [GIBBS, CD], ids=["gibbs_step", "cd_update"])
def test_empty_batches_are_refused(op: Any) -> None:
    function, make = op
    name = "v" if op is GIBBS else "v0"
    refuses(function, {**make(), name: np.zeros((0, N_VISIBLE), np.float32)}, name, ValueError)
    refuses(function, {**make(), name: []}, name, ValueError)
    refuses(function, {**make(), name: [[]]}, name, ValueError)


@pytest.mark.parametrize("shape", [(2**31, 1), (1, 2**31), (2**31 - 1, 2**31 - 1), (2**62, 1)], ids=str)
def test_huge_arrays_are_refused_before_they_are_copied(shape: tuple[int, int]) -> None:
    """A broadcast view has any size at no cost; products of such sizes would overflow."""
    huge = np.broadcast_to(np.bool_(0), shape)
    for name in ("v", "w"):
        with pytest.raises(ValueError, match=f"^{name}: "):
            hc.ops.gibbs_step(**{**gibbs_arguments(), name: huge})
    with pytest.raises(ValueError, match=r"^x: "):
        hc.BitMatrix.from_dense(huge)
    with pytest.raises(ValueError, match=r"^v0: "):
        hc.ops.cd_update(**{**cd_arguments(), "v0": huge})


def test_huge_bit_matrices_are_no_crash() -> None:
    with pytest.raises((MemoryError, ValueError)):
        hc.BitMatrix.zeros((2**31 - 1, 2**31 - 1))


numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.complex_numbers())
things = st.one_of(
    numbers,
    st.lists(numbers, max_size=3),
    st.tuples(st.lists(st.integers(0, 3), max_size=3), st.sampled_from("?bBiIlLfdegFDOSUMmV")).map(
        lambda t: np.zeros(t[0], t[1])
    ),
)


@given(data=st.data(), bad=things)
def test_anything_at_all_is_taken_or_refused_by_name(data: st.DataObject, bad: Any) -> None:
    """No other exception, whatever the value."""
    op, make = data.draw(st.sampled_from([GIBBS, CD]))
    arguments = make()
    names = [*arguments, "temperature", "first_sample"] if op is hc.ops.gibbs_step else list(arguments)
    name = data.draw(st.sampled_from(names))
    if name == "rng" and isinstance(bad, hc.Generator):
        return
    arguments[name] = bad
    beginning = name
    try:
        op(**arguments)
    except (ValueError, TypeError) as error:
        beginning = str(error).split(":")[0].split("[")[0]
    except FloatingPointError:
        beginning = name if name in ("lr", "weight_decay", "velocity") else "FloatingPointError"
    assert beginning in {*names, "states", "h"}
