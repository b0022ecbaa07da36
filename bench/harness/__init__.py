"""How a benchmark is described (`cases`), run in its own process (`worker`, `pool`) and interleaved (`run`)."""
