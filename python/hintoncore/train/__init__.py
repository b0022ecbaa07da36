"""Training: a readable loop, schedules, callbacks and checkpoints that continue to the bit-identical model.

:class:`Trainer` knows epochs, minibatches, callbacks and checkpoints; a :class:`Task` knows one model and its
learning rule. :class:`ContrastiveDivergence` is the task of the RBM, and ``RBM.fit`` puts the two together.
"""

from hintoncore.train.associative import AssociativeLearning
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
from hintoncore.train.em import EMSettings, ExpectationMaximization
from hintoncore.train.gradient_update import Centring, Sparsity
from hintoncore.train.mean_field import DoubledRBM, DoubledRBMLearning, MeanFieldLearning
from hintoncore.train.negative_phase import CD, PCD, FastPCD, LearningRule, TemperedPCD
from hintoncore.train.ratings import RatingLearning, RatingSettings
from hintoncore.train.schedules import (
    GUIDE_MOMENTUM,
    Constant,
    Exponential,
    Linear,
    Schedule,
    Step,
)
from hintoncore.train.supervised import Supervised
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
    "AssociativeLearning",
    "BoltzmannLearning",
    "BoltzmannSettings",
    "CDSettings",
    "Callback",
    "Checkpoint",
    "Constant",
    "ContrastiveDivergence",
    "DoubledRBM",
    "DoubledRBMLearning",
    "EarlyStopping",
    "Exponential",
    "Linear",
    "LogLikelihood",
    "MeanFieldLearning",
    "MetricsWriter",
    "ProgressBar",
    "RatingLearning",
    "RatingSettings",
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
    "EMSettings",
    "ExpectationMaximization",
]
