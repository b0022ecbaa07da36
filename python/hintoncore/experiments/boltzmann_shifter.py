"""The shifter: hidden units that no one specified find out how one row of bits is shifted against another.

Two rows of eight units, the second the first shifted by one to the left, by none, or by one to the right with
wrap-around, and three units that name the shift. No pair of units says anything about the shift, so it takes hidden
units that respond to conjunctions: 24 of them, connected to all visible units and not to each other, start at zero
weights and learn by the rule of 1985 alone, the difference of co-occurrences awake and asleep, annealed by
[2@20, 2@15, 2@12, 4@10] and counted for 10 units of time (Hinton and Sejnowski 1986, section "The shifter").

Recognition is judged on every one of the 3 x 256 cases. Of some no one can tell the shift: all on and all off (three
shifts look alike) and the two alternating rows (left and right do), so 762 of 768, 99.2 %, is the most one can reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.models import BoltzmannMachine

__all__ = ["EXPERIMENT", "environment", "recognition", "run"]

Float32Array = NDArray[np.float32]

WIDTH = 8
SHIFTS = (-1, 0, 1)
N_INPUTS = 2 * WIDTH
N_VISIBLE = N_INPUTS + len(SHIFTS)
N_HIDDEN = 24
BATCH = 64
CYCLES, QUICK_CYCLES = 12000, 1500
SCHEDULE = "2@20, 2@15, 2@12, 4@10"
TEMPERATURE = 10.0
LEARNING_RATE, MOMENTUM = 10.0, 0.5
TRIALS = 100


def environment() -> tuple[Float32Array, NDArray[np.int64]]:
    """All 768 cases, first row, second row and one-hot shift side by side, and the number of each one's shift."""
    first = (np.arange(2**WIDTH)[:, None] >> np.arange(WIDTH)) & 1
    cases = [
        np.concatenate([first, np.roll(first, shift, axis=1), np.tile(np.eye(len(SHIFTS))[k], (len(first), 1))], axis=1)
        for k, shift in enumerate(SHIFTS)
    ]
    return np.concatenate(cases).astype(np.float32), np.repeat(np.arange(len(SHIFTS)), len(first))


def connections() -> NDArray[np.bool_]:
    """Hidden units with all visible ones, and the three names of shifts with each other."""
    n = N_VISIBLE + N_HIDDEN
    mask = np.zeros((n, n), dtype=bool)
    mask[:N_VISIBLE, N_VISIBLE:] = mask[N_VISIBLE:, :N_VISIBLE] = True
    mask[N_INPUTS:N_VISIBLE, N_INPUTS:N_VISIBLE] = ~np.eye(len(SHIFTS), dtype=bool)
    return mask


def recognition(machine: BoltzmannMachine) -> NDArray[np.bool_]:
    """Of each case, whether the most probable shift at equilibrium with both rows clamped is the true one."""
    cases, shifts = environment()
    named = np.repeat(cases[:, None, :], len(SHIFTS), axis=1)
    named[:, :, N_INPUTS:] = np.eye(len(SHIFTS))
    energies = machine.free_energy(named.reshape(-1, N_VISIBLE), TEMPERATURE).reshape(-1, len(SHIFTS))
    return np.asarray(energies.argmin(axis=1) == shifts)


def settled_recognition(machine: BoltzmannMachine, seed: int) -> float:
    """Share of cases whose true shift is the one unit of three that is on most while the machine samples."""
    from hintoncore.samplers import annealing_schedule

    cases, shifts = environment()
    clamp = np.arange(N_VISIBLE) < N_INPUTS
    votes = np.zeros((len(cases), len(SHIFTS)))
    for trial in range(TRIALS):
        votes += machine.anneal(cases, annealing_schedule(SCHEDULE), clamp=clamp, rng=seed + trial)[
            :, N_INPUTS:N_VISIBLE
        ]
    best = votes.max(axis=1)
    unique = (votes == best[:, None]).sum(axis=1) == 1
    return float((unique & (votes.argmax(axis=1) == shifts)).mean())


def run(run: Run) -> dict[str, float]:
    """Learn, then judge every case."""
    from hintoncore.models import BoltzmannMachine
    from hintoncore.train import Checkpoint, Linear

    cases, _ = environment()
    cycles_an_epoch = -(-len(cases) // BATCH)
    epochs = (QUICK_CYCLES if run.quick else CYCLES) // cycles_an_epoch
    machine = BoltzmannMachine(N_VISIBLE, N_HIDDEN, connections=connections(), seed=run.seed)
    machine.fit(
        cases,
        epochs,
        rule="gradient",
        learning_rate=Linear(LEARNING_RATE, 0.0, epochs),
        momentum=MOMENTUM,
        batch_size=BATCH,
        repeats=1,
        anneal=SCHEDULE,
        collect=10,
        noise=(0.0, 0.0),
        order="sequential",
        callbacks=[*run.callbacks(), Checkpoint(run.out / "checkpoint.safetensors", every_epochs=100)],
        resume=run.checkpoint("checkpoint.safetensors"),
    )
    machine.save(run.out / "model.safetensors")
    right = recognition(machine)
    on = cases[:, :WIDTH].sum(axis=1).astype(int)
    run.details.update(
        {
            "learning_cycles": machine.steps_trained,
            "annealings_a_phase": BATCH,
            "rule": "learning_rate * (p+ - p-), no noise, all visible units free asleep",
            "learning_rate": f"{LEARNING_RATE} falling linearly to 0, momentum {MOMENTUM}",
            "ceiling_percent": 100 * 762 / 768,
            "recognised_of_768": int(right.sum()),
            "percent_by_units_on_in_the_first_row": {int(k): 100 * float(right[on == k].mean()) for k in np.unique(on)},
        }
    )
    if run.pictures:
        _draw(run, machine)
    return {"recognition": 100 * float(right.mean()), "settled": 100 * settled_recognition(machine, run.seed)}


def _draw(run: Run, machine: BoltzmannMachine) -> None:
    """The paper's figure: of each hidden unit the weights to the three names, and below to the two rows."""
    from hintoncore import plots
    from hintoncore.experiments._hinton_diagram import unit_panels

    panels: list[NDArray[Any]] = []
    for unit in range(N_HIDDEN):
        w = machine.w[N_VISIBLE + unit, :N_VISIBLE]
        panel = np.full((3, WIDTH), np.nan)
        panel[0, 0] = machine.b[N_VISIBLE + unit]
        panel[0, 3:6] = w[N_INPUTS:]
        panel[1], panel[2] = w[:WIDTH], w[WIDTH:N_INPUTS]
        panels.append(panel)
    title = "Hidden units: bias, weights to left/none/right, and to the two rows"
    plots.save(unit_panels(panels, columns=4, title=title), run.out / "receptive-fields.png")


EXPERIMENT = Experiment(
    name="boltzmann-shifter",
    title="Hidden units of a Boltzmann machine find shifts that no pair of visible units shows",
    source='Hinton and Sejnowski 1986, "Learning and relearning in Boltzmann machines", PDP 1 chapter 7',
    figures=(
        Figure(
            "recognition",
            "shift recognised, all 768 cases, most probable shift at equilibrium",
            unit="%",
            better="higher",
            target=92.3,
            best_public=92.3,
            quick_bound=85.0,
        ),
        Figure(
            "settled",
            "shift recognised, all 768 cases, unit that is on most often after 100 annealings",
            unit="%",
            better="higher",
            target=92.3,
        ),
    ),
    run=run,
    seeds=5,
)
