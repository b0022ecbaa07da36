"""Samplers of Boltzmann machines built on the kernels: parallel tempering and simulated annealing.

They take a *machine* (an energy and its Gibbs kernel): :class:`RBMMachine`, :class:`UnitMachine`,
:class:`GraphMachine` or :class:`DenseMachine`.
"""

from hintoncore.samplers._annealing import Annealed, annealing_schedule, simulated_annealing
from hintoncore.samplers._machines import DenseMachine, GraphMachine, Machine, RBMMachine, UnitMachine
from hintoncore.samplers._tempering import ParallelTempering, swap_probability

__all__ = [
    "Annealed",
    "DenseMachine",
    "GraphMachine",
    "Machine",
    "ParallelTempering",
    "RBMMachine",
    "UnitMachine",
    "annealing_schedule",
    "simulated_annealing",
    "swap_probability",
]
