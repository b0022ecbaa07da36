"""Exceptions of the package."""


class HintonCoreError(RuntimeError):
    """The machine or the build cannot do what was asked: an ISA level it lacks, a CUDA failure, an internal error."""
