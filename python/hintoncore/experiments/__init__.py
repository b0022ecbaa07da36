"""Experiments: each module is one system, with its paper's figure and the function that measures ours.

``hintoncore reproduce NAME`` runs one; :func:`reproduce` does the same from Python.
"""

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._registry import load, names
from hintoncore.experiments._runner import reproduce

__all__ = ["Experiment", "Figure", "Run", "load", "names", "reproduce"]
