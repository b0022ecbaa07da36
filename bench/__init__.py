"""Benchmarks of every kernel family against its peers and against the machine's own ceilings, in one interleaved run.

One file per family (`matmul`, `batched`, `linear`, `conv`, `nn`, `rnn`, `nplm`, `layers`, `gibbs`, `cd`, `pcd`, `cf`,
`outer`, `ais`, `units`, `graph`, `dense`, `philox`, `math`, `bits`, and `system` for whole-program figures); `harness`
times them, `report` turns the result into JSON, Markdown, plots and comparisons. The command line is ``hintoncore
bench``.
"""

from __future__ import annotations

FAMILIES = (
    "matmul",
    "batched",
    "linear",
    "conv",
    "nn",
    "rnn",
    "nplm",
    "layers",
    "gibbs",
    "cd",
    "pcd",
    "cf",
    "outer",
    "ais",
    "units",
    "graph",
    "dense",
    "philox",
    "math",
    "bits",
    "system",
)

__all__ = ["FAMILIES"]
