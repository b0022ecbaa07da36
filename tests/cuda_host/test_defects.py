"""Tests of the harness itself: sound kernels pass every tool, and each seeded defect is caught by the right one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from . import harness

pytestmark = pytest.mark.skipif(harness.why_not() is not None, reason=str(harness.why_not()))

IN = (np.arange(1024) * 7 % 23).astype(np.float32)
SCENARIOS = [
    "block_sum",
    "warp_exchange",
    "intrinsics",
    "histogram",
    "locked",
    "last_block",
    "copy4",
    "dynamic",
    "configuration",
]


@dataclass(frozen=True)
class Defect:
    scenario: str
    number: int
    what: str
    caught: dict[str, str]  # mode -> kind of report

    def __str__(self) -> str:
        return f"{self.scenario}-{self.what.replace(' ', '_')}"


DEFECTS = [
    Defect("block_sum", 1, "no barrier after filling", {"race": "race"}),
    Defect("block_sum", 2, "no barrier between levels", {"race": "race"}),
    Defect("block_sum", 3, "one thread too many", {"asan": "asan|ubsan", "race": "race"}),
    Defect("block_sum", 4, "barrier in a branch", {"plain": "divergent-barrier"}),
    Defect("block_sum", 5, "exit before a barrier", {"plain": "divergent-barrier"}),
    Defect("block_sum", 6, "shared memory not initialised", {"plain": "order"}),
    Defect("block_sum", 7, "write past shared memory", {"plain": "out-of-bounds", "asan": "asan|ubsan"}),
    Defect("warp_exchange", 1, "caller not in mask", {"plain": "bad-mask"}),
    Defect("warp_exchange", 2, "value of an exited lane", {"plain": "order"}),
    Defect("warp_exchange", 3, "lanes at different operations", {"plain": "deadlock"}),
    Defect("warp_exchange", 4, "no syncwarp", {"race": "race"}),
    Defect("warp_exchange", 5, "vote instead of syncwarp", {"race": "race"}),
    Defect("warp_exchange", 6, "syncwarp of half warps", {"race": "race"}),
    Defect("warp_exchange", 7, "shuffle across the mask", {"plain": "order"}),
    Defect("histogram", 1, "plain increment in shared memory", {"race": "race"}),
    Defect("histogram", 2, "plain increment across blocks", {"race": "race"}),
    Defect("histogram", 3, "plain read beside atomics", {"race": "race"}),
    Defect("histogram", 4, "order of arrival as index", {"plain": "order"}),
    Defect("histogram", 5, "plain write beside atomics", {"race": "race"}),
    Defect("histogram", 6, "two barriers for one", {"plain": "divergent-barrier"}),
    Defect("locked", 1, "spin on a plain variable", {"plain": "livelock"}),
    Defect("locked", 2, "spin on an atomic that nobody sets", {"plain": "livelock"}),
    Defect("locked", 3, "no fence after acquiring", {"race": "race"}),
    Defect("locked", 4, "no fence before releasing", {"race": "race"}),
    Defect("last_block", 1, "fence of block scope", {"race": "race"}),
    Defect("last_block", 2, "no fence before counting", {"race": "race"}),
    Defect("last_block", 3, "no fence after counting", {"race": "race"}),
    Defect("last_block", 4, "fence before the barrier", {"race": "race"}),
    Defect("last_block", 5, "not waiting for other blocks", {"race": "race"}),
    Defect("copy4", 1, "misaligned float4", {"asan": "ubsan"}),
    Defect("copy4", 2, "read past device memory", {"asan": "asan"}),
    Defect("copy4", 3, "write past device memory", {"plain": "out-of-bounds", "asan": "asan"}),
    Defect("copy4", 4, "write to an input", {"plain": "input-changed"}),
    Defect("dynamic", 1, "too little dynamic shared memory", {"plain": "out-of-bounds", "asan": "asan"}),
    Defect("dynamic", 2, "no dynamic shared memory", {"plain": "launch"}),
    Defect("configuration", 1, "2048 threads", {"plain": "exception"}),
    Defect("configuration", 2, "empty grid", {"plain": "exception"}),
    Defect("configuration", 3, "block too deep", {"plain": "exception"}),
    Defect("configuration", 4, "300 KiB of shared memory", {"plain": "exception"}),
]


def run(scenario: str, defect: int, mode: str) -> dict[str, bytes]:
    program = harness.build([harness.HERE / "defects.cu"], harness.HERE / "defects_driver.cpp", mode)
    name = np.frombuffer(scenario.encode(), np.uint8)
    return harness.run(program, {"scenario": name, "defect": defect, "in": IN})


@pytest.mark.parametrize("mode", harness.MODES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sound_kernels_pass(scenario: str, mode: str) -> None:
    run(scenario, 0, mode)


def test_more_than_48_kib_of_dynamic_shared_memory_is_asked_for() -> None:
    run("configuration", 5, "plain")


@pytest.mark.parametrize(
    ("defect", "mode"),
    [pytest.param(d, mode, id=f"{d}-{mode}") for d in DEFECTS for mode in d.caught],
)
def test_defect_is_caught(defect: Defect, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HC_SHIM_SECONDS", "1")
    with pytest.raises(harness.ShimError) as caught:
        run(defect.scenario, defect.number, mode)
    assert caught.value.kind in defect.caught[mode].split("|"), str(caught.value)


def test_race_report_names_both_places() -> None:
    with pytest.raises(harness.ShimError, match=r"shared memory.*defects\.cu:\d+.*unordered.*defects\.cu:\d+"):
        run("block_sum", 1, "race")


def test_deadlock_report_tells_who_waits_where() -> None:
    with pytest.raises(harness.ShimError, match=r"threads 0\.\.15: __syncwarp.*defects\.cu:\d+"):
        run("warp_exchange", 3, "plain")


def test_answers_of_sound_kernels() -> None:
    blocks = IN.reshape(4, 256)
    out = {name: harness.array(run(name, 0, "plain")["out"], np.float32, 1024) for name in SCENARIOS}
    np.testing.assert_array_equal(out["block_sum"][:4], blocks.sum(axis=1))
    np.testing.assert_array_equal(out["warp_exchange"][[0, 32]], IN[:64].reshape(2, 32).sum(axis=1))
    assert out["last_block"][0] == 64 * IN[:4].sum()
    np.testing.assert_array_equal(out["copy4"], IN)
    np.testing.assert_array_equal(out["dynamic"][:256], IN[:256][::-1])
    results = run("histogram", 0, "plain")
    counts = harness.array(results["counts"], np.uint32, 1024)
    np.testing.assert_array_equal(counts[:16], np.bincount(IN.astype(int) % 16, minlength=16))
    np.testing.assert_array_equal(harness.array(results["bytes"], np.uint8, 1024), IN.astype(int) % 16)
    assert harness.array(run("locked", 0, "plain")["counts"], np.uint32, 1024)[1] == 160


def expected_intrinsics() -> NDArray[np.int64]:
    rows = []
    for t in range(64):
        lane, first = t % 32, t // 32 * 32
        warp = np.arange(first, first + 32)
        value = warp * 37 % 64 - 20
        rows.append(
            [
                0xAAAAAAAA,
                1,
                0,
                int(value.sum()) % 2**32,
                int(value.min()) % 2**32,
                int(value.max()) % 2**32,
                int(np.bitwise_xor.reduce(warp * 0x9E37)),
                int(np.bitwise_and.reduce(warp | 0xF0)),
                int(np.bitwise_or.reduce(warp)),
                t // 8 * 8 + 3,
                t - 2 if lane % 16 >= 2 else t,
                t + 2 if lane % 16 < 14 else t,
                t ^ 9,
                22,
                3,
                sum(1 << i for i in range(32) if (first + i) % 5 == t % 5),
            ]
        )
    return np.array(rows)


def test_answers_of_intrinsics() -> None:
    counts = harness.array(run("intrinsics", 0, "plain")["counts"], np.uint32, 64, 16)
    np.testing.assert_array_equal(counts, expected_intrinsics())
