"""Models as files: parameters, the settings that rebuild the model, and how long it was trained."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from numpy.typing import NDArray

from hintoncore.files import FileFormatError, load_tensors, save_tensors

__all__ = ["ModelFile", "SavedModel"]


@dataclass(frozen=True)
class ModelFile:
    """The file of one kind of model.

    Attributes
    ----------
    kind : str
        What the file calls itself.
    noun : str
        What errors call the model.
    settings : tuple of str
        Arguments of the constructor that are also attributes: JSON values.
    counters : tuple of str
        Attributes to set again on a loaded model: JSON values.
    arrays : tuple of str
        Arguments of the constructor that are also attributes: arrays.
    """

    kind: str
    noun: str
    settings: tuple[str, ...]
    counters: tuple[str, ...] = ("epochs_trained", "steps_trained")
    arrays: tuple[str, ...] = ()


Saved = TypeVar("Saved", bound="SavedModel")


class SavedModel(ABC):
    """A model that :meth:`save` writes to a file and :meth:`load` reads back; its class says of what kind."""

    _file: ClassVar[ModelFile]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file, atomically; equal models give equal bytes.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        file = self._file
        arrays = {name: getattr(self, name) for name in file.arrays}
        metadata = {name: getattr(self, name) for name in (*file.settings, *file.counters)}
        save_tensors(path, {**arrays, **self.parameters()}, kind=file.kind, metadata=metadata)

    @classmethod
    def load(cls: type[Saved], path: str | os.PathLike[str]) -> Saved:
        """Read a model that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FileFormatError
            If the file is damaged, is another model's, or was written by a newer version.
        """
        file = cls._file
        tensors, metadata = load_tensors(path, kind=file.kind)
        try:
            arrays = {name: tensors[name] for name in file.arrays}
            model = cls(**arrays, **{name: metadata[name] for name in file.settings})
            for name in file.counters:
                setattr(model, name, metadata[name])
            model.set_parameters(tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: not a usable {file.noun} ({error})") from error
        return model

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return the parameter arrays themselves by name."""

    @abstractmethod
    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Set all parameters, by the names that :meth:`parameters` has."""
