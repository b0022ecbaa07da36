"""Models: parameters, training and sampling in readable Python over the kernels of :mod:`hintoncore.ops`."""

from hintoncore.models.associative_memory import AssociativeMemory
from hintoncore.models.autoencoder import DeepAutoencoder
from hintoncore.models.boltzmann import BoltzmannMachine
from hintoncore.models.cf_rbm import CFRBM
from hintoncore.models.dbm import DBM
from hintoncore.models.dbn import DBN, DirectedLayer
from hintoncore.models.gan import GAN
from hintoncore.models.helmholtz import HelmholtzMachine
from hintoncore.models.holographic import HolographicMemory
from hintoncore.models.hopfield import HopfieldNet
from hintoncore.models.linear_dynamics import LinearDynamics
from hintoncore.models.mixture import Mixture
from hintoncore.models.ngram import InterpolatedNGram, KneserNey
from hintoncore.models.noisy_weights import NoisyWeightsNet
from hintoncore.models.nplm import NPLM
from hintoncore.models.rbm import RBM
from hintoncore.models.recirculation import Recirculation
from hintoncore.models.sequence_to_sequence import Alphabet, SequenceCrossEntropy, SequenceToSequence
from hintoncore.models.sigmoid_belief_net import SigmoidBeliefNet
from hintoncore.models.slow_features import SlowFeatures
from hintoncore.models.vae import VAE
from hintoncore.models.willshaw import WillshawNet

__all__ = [
    "CFRBM",
    "DBM",
    "DBN",
    "GAN",
    "NPLM",
    "RBM",
    "VAE",
    "AssociativeMemory",
    "DeepAutoencoder",
    "BoltzmannMachine",
    "DirectedLayer",
    "HelmholtzMachine",
    "HolographicMemory",
    "HopfieldNet",
    "LinearDynamics",
    "NoisyWeightsNet",
    "InterpolatedNGram",
    "KneserNey",
    "Recirculation",
    "Alphabet",
    "SequenceCrossEntropy",
    "SequenceToSequence",
    "SigmoidBeliefNet",
    "SlowFeatures",
    "WillshawNet",
    "Mixture",
]
