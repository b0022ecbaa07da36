"""Models: parameters, training and sampling in readable Python over the kernels of :mod:`hintoncore.ops`."""

from hintoncore.models.associative_memory import AssociativeMemory
from hintoncore.models.boltzmann import BoltzmannMachine
from hintoncore.models.dbn import DBN, DirectedLayer
from hintoncore.models.helmholtz import HelmholtzMachine
from hintoncore.models.holographic import HolographicMemory
from hintoncore.models.hopfield import HopfieldNet
from hintoncore.models.mixture import Mixture
from hintoncore.models.rbm import RBM
from hintoncore.models.sigmoid_belief_net import SigmoidBeliefNet
from hintoncore.models.willshaw import WillshawNet

__all__ = [
    "AssociativeMemory",
    "BoltzmannMachine",
    "DBN",
    "DirectedLayer",
    "HelmholtzMachine",
    "HolographicMemory",
    "HopfieldNet",
    "Mixture",
    "RBM",
    "SigmoidBeliefNet",
    "WillshawNet",
]
