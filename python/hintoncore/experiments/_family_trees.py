"""Two isomorphic family trees and the questions they answer (Hinton 1986, figure 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PERSONS", "RELATIONS", "Questions", "questions"]

# By place in the tree: two couples, the three couples of their children and those they married, two grandchildren.
_ENGLISH = [
    "Christopher",
    "Penelope",
    "Andrew",
    "Christine",
    "Margaret",
    "Arthur",
    "Victoria",
    "James",
    "Jennifer",
    "Charles",
    "Colin",
    "Charlotte",
]
_ITALIAN = [
    "Roberto",
    "Maria",
    "Pierro",
    "Francesca",
    "Gina",
    "Emilio",
    "Lucia",
    "Marco",
    "Angela",
    "Tomaso",
    "Alfonso",
    "Sophia",
]
PERSONS = (*_ENGLISH, *_ITALIAN)
RELATIONS = (
    "father",
    "mother",
    "husband",
    "wife",
    "son",
    "daughter",
    "uncle",
    "aunt",
    "brother",
    "sister",
    "nephew",
    "niece",
)
_MEN = {0, 2, 5, 7, 9, 10}
_COUPLES = ((0, 1), (2, 3), (5, 4), (7, 6), (9, 8))  # husband, wife
_CHILDREN = {(0, 1): (5, 6), (2, 3): (7, 8), (7, 6): (10, 11)}
_GENERATION = (0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2)
# Which of the two first couples one is of, descends from or has married into; their common grandchildren are of both.
_BRANCH = (0, 0, 1, 1, 0, 0, 0, 1, 1, 1, -1, -1)


@dataclass(frozen=True)
class Questions:
    """All questions that have an answer.

    Attributes
    ----------
    x : array of float32, shape [104, 36]
        Person and relation, one unit each.
    answers : array of 0 and 1, shape [104, 24]
        The persons that stand in the relation.
    features : dict of str to array, shape [24]
        Classes of the persons: nationality, generation, branch; -1 for those in none.
    """

    x: NDArray[np.float32]
    answers: NDArray[np.float32]
    features: dict[str, NDArray[np.intp]]

    def text(self, question: int) -> str:
        """Such as ``"Colin has-uncle Arthur, Charles"``."""
        person, relation = np.flatnonzero(self.x[question])
        names = ", ".join(PERSONS[i] for i in np.flatnonzero(self.answers[question]))
        return f"{PERSONS[person]} has-{RELATIONS[relation - len(PERSONS)]} {names}"


def _facts() -> set[tuple[int, str, int]]:
    """(person, relation, person) of one tree."""
    facts: set[tuple[int, str, int]] = set()
    spouse: dict[int, int] = {}
    siblings: dict[int, int] = {}
    for husband, wife in _COUPLES:
        facts |= {(wife, "husband", husband), (husband, "wife", wife)}
        spouse[husband], spouse[wife] = wife, husband
    for parents, children in _CHILDREN.items():
        for child, other in (children, children[::-1]):
            siblings[child] = other
            facts.add((child, "brother" if other in _MEN else "sister", other))
            for parent in parents:
                facts.add((child, "father" if parent in _MEN else "mother", parent))
                facts.add((parent, "son" if child in _MEN else "daughter", child))
    for parents, children in _CHILDREN.items():
        for parent in parents:
            if parent not in siblings:
                continue
            aunt_or_uncle = siblings[parent]
            for relative in (aunt_or_uncle, spouse[aunt_or_uncle]):
                for child in children:
                    facts.add((child, "uncle" if relative in _MEN else "aunt", relative))
                    facts.add((relative, "nephew" if child in _MEN else "niece", child))
    return facts


def questions() -> Questions:
    """The 104 questions of both trees."""
    half = len(_ENGLISH)
    asked: dict[tuple[int, int], list[int]] = {}
    for first in (0, half):
        for person, relation, answer in sorted(_facts()):
            asked.setdefault((person + first, RELATIONS.index(relation)), []).append(answer + first)
    x: NDArray[Any] = np.zeros((len(asked), len(PERSONS) + len(RELATIONS)), dtype=np.float32)
    answers: NDArray[Any] = np.zeros((len(asked), len(PERSONS)), dtype=np.float32)
    for row, ((person, about), right) in enumerate(asked.items()):
        x[row, [person, len(PERSONS) + about]] = 1
        answers[row, right] = 1
    features = {
        "nationality": np.repeat(np.arange(2), half),
        "generation": np.array(_GENERATION * 2),
        "branch": np.array(_BRANCH * 2),
    }
    return Questions(x, answers, features)
