"""Threads of both kinds and forked children: same numbers, no deadlock, and the environment variables that set them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

import hintoncore as hc

THREADS = (1, 2, 3, 8)
WAIT = 120  # seconds until a deadlock is called one

# (batch, visible, hidden): one tile, ragged tiles, many tiles in both directions, enough rows for several row tiles.
SHAPES = [(1, 1, 1), (70, 37, 19), (100, 784, 500), (1300, 33, 130)]

Result = list[np.ndarray]


@pytest.fixture(autouse=True)
def _default_threads() -> object:
    yield
    hc.set_num_threads(0)


def model(batch: int, n_visible: int, n_hidden: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng([batch, n_visible, n_hidden])
    v = (rng.random((batch, n_visible)) < 0.3).astype(np.float32)
    h = (rng.random((batch, n_hidden)) < 0.5).astype(np.float32)
    w = rng.normal(0, 0.3, (n_visible, n_hidden)).astype(np.float32)
    return v, h, w, rng.normal(0, 0.2, n_visible).astype(np.float32), rng.normal(0, 0.2, n_hidden).astype(np.float32)


def gibbs(shape: tuple[int, int, int]) -> Result:
    v, h, w, b_vis, b_hid = model(*shape)
    rng = hc.Generator(3, 2**33)
    up, p_up = hc.ops.gibbs_step(hc.BitMatrix.from_dense(v), w, b_hid, rng=rng, return_probs=True)
    down, p_down = hc.ops.gibbs_step(h, w, b_vis, rng=rng, transpose=True, temperature=0.7, return_probs=True)
    real, p_real = hc.ops.gibbs_step(v * np.float32(0.75), w, b_hid, rng=rng, return_probs=True)
    return [up.words, p_up, down, p_down, real, p_real]


def cd(shape: tuple[int, int, int], real: bool = False, persistent: bool = False) -> Result:
    v, _, w, b_vis, b_hid = model(*shape)
    velocity = (np.zeros_like(w), np.zeros_like(b_vis), np.zeros_like(b_hid))
    chains = hc.BitMatrix.from_dense(v[: max(1, len(v) - 5)]) if persistent else None
    v0 = v * np.float32(0.5) if real else hc.BitMatrix.from_dense(v)
    rng = hc.Generator(11)
    stats = []
    for _ in range(2):
        found = hc.ops.cd_update(
            v0, w, b_vis, b_hid, k=2, lr=0.1, rng=rng, momentum=0.5, weight_decay=1e-3, velocity=velocity, chains=chains
        )
        stats += [np.nan if value is None else value for value in found.values()]
    return [w, b_vis, b_hid, *velocity, np.array(stats), chains.words if chains is not None else np.zeros(0)]


def bits(shape: tuple[int, int, int]) -> Result:
    packed = hc.BitMatrix.from_dense(model(*shape)[0])
    return [packed.words, packed.to_dense(), packed.transpose().words, hc.Generator(5).random(200_001)]


CASES: dict[str, Callable[[tuple[int, int, int]], Result]] = {
    "gibbs_step": gibbs,
    "cd_update": cd,
    "cd_update_real": lambda shape: cd(shape, real=True),
    "cd_update_persistent": lambda shape: cd(shape, persistent=True),
    "bits": bits,
}


def assert_same(first: Result, second: Result) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_the_thread_count(name: str, shape: tuple[int, int, int]) -> None:
    hc.set_num_threads(THREADS[0])
    expected = CASES[name](shape)
    for threads in THREADS[1:]:
        hc.set_num_threads(threads)
        assert_same(CASES[name](shape), expected)


def test_python_threads_share_the_library() -> None:
    """More callers than processors, all kernels at once, own arrays; the thread count changes meanwhile."""
    shape = SHAPES[1]
    expected = {name: case(shape) for name, case in CASES.items()}
    failures: list[BaseException] = []
    start = threading.Barrier(6)

    def caller(index: int) -> None:
        try:
            start.wait(WAIT)
            for round_ in range(6):
                for name, case in CASES.items():
                    hc.set_num_threads(THREADS[(index + round_) % len(THREADS)])
                    assert_same(case(shape), expected[name])
        except BaseException as error:
            failures.append(error)

    callers = [threading.Thread(target=caller, args=(i,), daemon=True) for i in range(6)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(WAIT)
        assert not thread.is_alive(), "deadlock"
    assert failures == []


def test_python_threads_share_a_generator() -> None:
    """No two callers get the same draws: each reserves its offsets."""
    rng = hc.Generator(9)
    drawn: list[bytes] = []

    def caller() -> None:
        for _ in range(50):
            drawn.append(rng.random(8).tobytes())

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(WAIT)
    assert len(set(drawn)) == 200
    assert rng.offset == 200


def run_child(work: Callable[[], None]) -> None:
    """Forks, runs `work` in the child and waits for it with a limit."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    status: list[int] = []
    waiter = threading.Thread(target=lambda: status.append(os.waitpid(pid, 0)[1]), daemon=True)
    waiter.start()
    waiter.join(WAIT)
    if not status:
        os.kill(pid, 9)
        pytest.fail("the forked child hangs")
    assert os.waitstatus_to_exitcode(status[0]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_uses_the_library_after_the_parent_did() -> None:
    shape = SHAPES[2]
    hc.set_num_threads(3)
    expected = {name: case(shape) for name, case in CASES.items()}

    def check() -> None:
        for name, case in CASES.items():
            assert_same(case(shape), expected[name])

    def child() -> None:
        check()
        threads = [threading.Thread(target=check) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run_child(check)

    run_child(child)
    check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_while_another_thread_computes() -> None:
    """The pool's locks may be held at the moment of the fork; the child must not wait for them."""
    shape = SHAPES[2]
    hc.set_num_threads(3)
    expected = cd(shape)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            cd(shape)

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        for _ in range(5):
            run_child(lambda: assert_same(cd(shape), expected))
    finally:
        stop.set()
        worker.join(WAIT)


def test_set_num_threads() -> None:
    for n in (1, 5, 256):
        hc.set_num_threads(n)
        assert hc.get_num_threads() == n
    for bad in (-1, 257, 2**31 - 1):
        with pytest.raises(ValueError, match="threads"):
            hc.set_num_threads(bad)
    with pytest.raises((TypeError, ValueError)):
        hc.set_num_threads("two")  # type: ignore[arg-type]
    assert hc.get_num_threads() == 256


def in_environment(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HINTONCORE_")}
    return subprocess.run(
        [sys.executable, "-c", "import hintoncore as hc\n" + code],
        capture_output=True,
        text=True,
        env={**clean, **variables},
        timeout=WAIT,
        check=False,
    )


@pytest.mark.parametrize("n", ["1", "3", "256"])
def test_num_threads_from_the_environment(n: str) -> None:
    done = in_environment("print(hc.get_num_threads())", HINTONCORE_NUM_THREADS=n)
    assert done.stdout.strip() == n, done.stderr
    done = in_environment("hc.set_num_threads(2); print(hc.get_num_threads())", HINTONCORE_NUM_THREADS=n)
    assert done.stdout.strip() == "2", done.stderr
    code = "hc.set_num_threads(2); hc.set_num_threads(0); print(hc.get_num_threads())"
    assert in_environment(code, HINTONCORE_NUM_THREADS=n).stdout.strip() == n


@pytest.mark.parametrize("bad", ["0", "-2", "two", "1.5", "4x", "257", "99999999999999999999"])
def test_bad_num_threads_in_the_environment(bad: str) -> None:
    """The import works, so that the message reaches whoever calls a kernel; nothing falls back silently."""
    done = in_environment(
        "import numpy as np; hc.BitMatrix.from_dense(np.ones((300, 300)))", HINTONCORE_NUM_THREADS=bad
    )
    assert done.returncode == 1
    assert "ValueError: HINTONCORE_NUM_THREADS: expected an integer in 1..256" in done.stderr
    assert f"'{bad}'" in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity")
def test_num_threads_follows_affinity() -> None:
    code = "import os; cpu = min(os.sched_getaffinity(0)); os.sched_setaffinity(0, {cpu}); print(hc.get_num_threads())"
    assert in_environment(code).stdout.strip() == "1"
    assert in_environment(code, HINTONCORE_NUM_THREADS="").stdout.strip() == "1"


# One caller, one worker: the caller moves to where the worker fell asleep, and they work side by side all the same.
MEETING = """
import os, time
tasks = lambda: set(map(int, os.listdir("/proc/self/task")))
processor = lambda task: int(open(f"/proc/self/task/{task}/stat").read().rpartition(")")[2].split()[36])
rng, allowed, before = hc.Generator(0), os.sched_getaffinity(0), tasks()
rng.random(1 << 20)
(worker,) = tasks() - before
apart = 0
for _ in range(20):
    time.sleep(0.005)
    os.sched_setaffinity(0, {processor(worker)})
    os.sched_setaffinity(0, allowed)
    rng.random(1 << 18)
    apart += processor(worker) != processor(os.getpid())
    assert os.sched_getaffinity(worker) == allowed
print(apart)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity")
def test_a_worker_is_not_woken_on_its_callers_processor() -> None:
    """Nearly always: the system may still move one of them to where the other is."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    done = in_environment(MEETING, HINTONCORE_NUM_THREADS="2")
    assert int(done.stdout) >= 10, done.stderr


def test_isa_from_the_environment() -> None:
    isa = hc.config()["isa"]
    for level in ("scalar", "avx2", "avx512"):
        done = in_environment("print(hc.config()['isa']['used'])", HINTONCORE_ISA=level)
        if level in isa["detected"]:
            assert done.stdout.strip() == level, done.stderr
        else:
            assert "HintonCoreError" in done.stderr
            assert level in done.stderr
    highest = in_environment("print(hc.config()['isa']['used'])", HINTONCORE_ISA="").stdout.strip()
    assert highest == isa["detected"][-1]


@pytest.mark.parametrize("bad", ["AVX2", "sse2", "avx1024", " avx2"])
def test_bad_isa_in_the_environment(bad: str) -> None:
    code = "import numpy as np; hc.BitMatrix.from_dense(np.ones((2, 2)))"
    done = in_environment(code, HINTONCORE_ISA=bad)
    assert done.returncode == 1
    assert "ValueError: HINTONCORE_ISA: expected one of 'scalar', 'avx2', 'avx512'" in done.stderr
    assert f"'{bad}'" in done.stderr
