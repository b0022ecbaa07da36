"""The `hintoncore` command: one module for each subcommand, and what they share in `_shared`."""

from hintoncore.cli._main import main

__all__ = ["main"]
