"""Training: a readable loop, schedules, callbacks and checkpoints that continue to the bit-identical model.

:class:`Trainer` knows epochs, minibatches, callbacks and checkpoints; a :class:`Task` knows one model and its
learning rule. :class:`ContrastiveDivergence` is the task of the RBM, and ``RBM.fit`` puts the two together.
"""

from hintoncore.train.adversarial import AdversarialLearning
from hintoncore.train.associative import AssociativeLearning
from hintoncore.train.autoencoder import AutoencoderLearning
from hintoncore.train.best import KeepBest
from hintoncore.train.boltzmann import BoltzmannLearning, BoltzmannSettings
from hintoncore.train.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LogLikelihood,
    MetricsWriter,
    ProgressBar,
)
from hintoncore.train.contrastive import CDSettings, ContrastiveDivergence
from hintoncore.train.credit import Backpropagation, CreditAssignment, CreditRule, rule_alignment
from hintoncore.train.em import EMSettings, ExpectationMaximization
from hintoncore.train.gradient_update import Centring, Sparsity
from hintoncore.train.kalman import KalmanEM
from hintoncore.train.mean_field import DoubledRBM, DoubledRBMLearning, MeanFieldLearning
from hintoncore.train.negative_phase import CD, PCD, FastPCD, LearningRule, TemperedPCD
from hintoncore.train.ratings import RatingLearning, RatingSettings
from hintoncore.train.reconstruction_backprop import ReconstructionBackprop
from hintoncore.train.schedules import (
    GUIDE_MOMENTUM,
    Constant,
    Exponential,
    Linear,
    Schedule,
    Step,
)
from hintoncore.train.supervised import Supervised
from hintoncore.train.target_propagation import DifferenceTargetPropagation
from hintoncore.train.trainer import Task, Trainer
from hintoncore.train.unit_divergence import UnitDivergence
from hintoncore.train.up_down import UpDown, UpDownSettings
from hintoncore.train.variational import VariationalLearning
from hintoncore.train.wake_sleep import WakeSleep, WakeSleepSettings

__all__ = [
    "Sparsity",
    "Centring",
    "TemperedPCD",
    "LearningRule",
    "FastPCD",
    "PCD",
    "CD",
    "GUIDE_MOMENTUM",
    "AdversarialLearning",
    "AssociativeLearning",
    "AutoencoderLearning",
    "Backpropagation",
    "BoltzmannLearning",
    "BoltzmannSettings",
    "CDSettings",
    "Callback",
    "Checkpoint",
    "Constant",
    "ContrastiveDivergence",
    "CreditAssignment",
    "CreditRule",
    "DifferenceTargetPropagation",
    "DoubledRBM",
    "DoubledRBMLearning",
    "EarlyStopping",
    "Exponential",
    "KeepBest",
    "KalmanEM",
    "Linear",
    "LogLikelihood",
    "MeanFieldLearning",
    "MetricsWriter",
    "ProgressBar",
    "RatingLearning",
    "RatingSettings",
    "ReconstructionBackprop",
    "Schedule",
    "Step",
    "Supervised",
    "Task",
    "Trainer",
    "UnitDivergence",
    "UpDown",
    "UpDownSettings",
    "VariationalLearning",
    "WakeSleep",
    "WakeSleepSettings",
    "rule_alignment",
    "EMSettings",
    "ExpectationMaximization",
]
