from typing import Any

def status() -> dict[str, Any]: ...
def gibbs_step(
    words: object,
    w: object,
    b: object,
    out: object,
    probs: object | None,
    *,
    batch: int,
    n_in: int,
    n_out: int,
    transpose: bool,
    temperature: float,
    seed: int,
    offset: int,
    first_sample: int,
    stream: int,
) -> None: ...
def pack_bits(dense: object, words: object, *, batch: int, units: int, stream: int) -> None: ...
def unpack_bits(words: object, dense: object, *, batch: int, units: int, stream: int) -> None: ...
