"""Models: parameters, training and sampling in readable Python over the kernels of :mod:`hintoncore.ops`."""

from hintoncore.models.rbm import RBM

__all__ = ["RBM"]
