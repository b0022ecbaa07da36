"""Training needs little more memory than the data it is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import numpy as np
from hintoncore import train
from hintoncore.models import RBM

def peak():  # unlike ru_maxrss it starts from nothing in a new process
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

RBM(8, 4).fit(np.eye(8), epochs=1, validation=np.eye(8))  # loads what is loaded on first use
before = peak()
rng = np.random.default_rng(0)
x = np.empty((40_000, 784), dtype=np.float32)
for start in range(0, len(x), 500):
    x[start : start + 500] = rng.random((500, 784), dtype=np.float32)
    if {binary}:
        np.rint(x[start : start + 500], out=x[start : start + 500])
rbm = RBM(784, 100)
rbm.fit(x, epochs=1, batch_size=1000, validation=x[:2000])
print((peak() - before) / (x.nbytes + rbm.w.nbytes))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc, which is not here")
@pytest.mark.parametrize("binary", [True, False])
def test_peak_memory_of_an_epoch(binary: bool) -> None:
    code = CHILD.format(binary=binary)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1.0 <= float(result.stdout) <= 1.3
