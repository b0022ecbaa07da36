"""Data sets: where they are found, strict parsing, and packing."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import datasets
from hintoncore.datasets import DatasetFormatError, DatasetNotFoundError, binarize, binarize_stochastic, load

STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def small_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 256, (5, 3, 4), dtype=np.uint8),
        rng.integers(0, 10, 5, dtype=np.uint8),
        rng.integers(0, 256, (2, 3, 4), dtype=np.uint8),
        rng.integers(0, 10, 2, dtype=np.uint8),
    )


def write_idx(folder: Path, *, compressed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, values in zip(STEMS, small_mnist(), strict=True):
        if compressed:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(idx(values), mtime=0))
        else:
            (folder / stem).write_bytes(idx(values))


def check_small_mnist(dataset: datasets.Dataset) -> None:
    train, train_labels, test, test_labels = small_mnist()
    np.testing.assert_allclose(dataset.train, train.reshape(5, 12) / 255, atol=1e-7)
    np.testing.assert_allclose(dataset.test, test.reshape(2, 12) / 255, atol=1e-7)
    np.testing.assert_array_equal(dataset.train_labels, train_labels)
    np.testing.assert_array_equal(dataset.test_labels, test_labels)
    assert dataset.image_shape == (3, 4)
    assert dataset.train.dtype == np.float32
    assert dataset.train_labels.dtype == np.int64


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set of the person who runs the tests is ever found."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HINTONCORE_DATA", "KERAS_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
def test_mnist_in_root(tmp_path: Path, folder: str, compressed: bool) -> None:
    write_idx(tmp_path / folder, compressed=compressed)
    dataset = load("mnist", root=tmp_path)
    check_small_mnist(dataset)
    assert dataset.name == "mnist"
    assert dataset.source == str(tmp_path / folder)
    assert datasets.locate("mnist", tmp_path) == tmp_path / folder


def test_root_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_idx(tmp_path / name / "fashion-mnist")
    monkeypatch.setenv("HINTONCORE_DATA", str(tmp_path / "b"))
    assert load("fashion-mnist", root=tmp_path / "a").source.startswith(str(tmp_path / "a"))
    assert load("fashion-mnist").source.startswith(str(tmp_path / "b"))


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        ("mnist", "data/MNIST/raw"),
        ("mnist", ".cache/torch/MNIST/raw"),
        ("fashion-mnist", "data/FashionMNIST/raw"),
        ("fashion-mnist", ".keras/datasets/fashion-mnist"),
    ],
)
def test_caches_of_others(empty_home: Path, name: str, cache: str) -> None:
    write_idx(empty_home / cache)
    check_small_mnist(load(name))


def test_archive_of_keras(empty_home: Path) -> None:
    folder = empty_home / ".keras" / "datasets"
    folder.mkdir(parents=True)
    x_train, y_train, x_test, y_test = small_mnist()
    np.savez(folder / "mnist.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    check_small_mnist(load("mnist"))


def test_incomplete_folders_are_passed_over(tmp_path: Path, empty_home: Path) -> None:
    write_idx(tmp_path / "mnist")
    (tmp_path / "mnist" / f"{STEMS[3]}.gz").unlink()
    write_idx(empty_home / "data" / "MNIST" / "raw")
    assert load("mnist", root=tmp_path).source == str(Path("data/MNIST/raw"))


def test_not_found_says_where_it_looked(tmp_path: Path, empty_home: Path) -> None:
    assert datasets.locate("mnist", tmp_path) is None
    with pytest.raises(DatasetNotFoundError) as info:
        load("mnist", root=tmp_path)
    message = str(info.value)
    for place in (tmp_path / "mnist", empty_home / ".keras" / "datasets", "HINTONCORE_DATA"):
        assert str(place) in message
    assert isinstance(info.value, FileNotFoundError)


def test_unknown_names_are_refused_with_the_known() -> None:
    with pytest.raises(ValueError, match=r"digits.*mnist.*given 'minst'"):
        load("minst")
    assert "digits" in datasets.NAMES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"\x00\x00\x08", "magic 00000803"),
        (
            idx(np.zeros((5, 3, 4), np.uint8)).replace(b"\x08\x03", b"\x0d\x03", 1),
            "magic 00000803, given 00000d03",
        ),
        (idx(np.zeros(5, np.uint8)), "given 00000801"),
        (idx(np.zeros((5, 3, 4), np.uint8))[:9], "truncated header"),
        (idx(np.zeros((5, 3, 4), np.uint8))[:-1], "expected 60 values, given 59"),
        (idx(np.zeros((5, 3, 4), np.uint8)) + b"\x00", "trailing"),
        (idx(np.zeros((0, 3, 4), np.uint8)), "do not fit"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "do not fit"),
        (idx(np.zeros((4, 3, 4), np.uint8)), "4 training images but 5 labels"),
        (idx(np.zeros((5, 4, 4), np.uint8)), r"expected images of shape \(4, 4\), given \(3, 4\)"),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_malformed_idx_files_are_refused(tmp_path: Path, content: bytes, message: str, compressed: bool) -> None:
    write_idx(tmp_path / "mnist", compressed=compressed)
    path = tmp_path / "mnist" / (f"{STEMS[0]}.gz" if compressed else STEMS[0])
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(DatasetFormatError, match=message):
        load("mnist", root=tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_compressed_files_are_refused_or_read_right(tmp_path: Path, data: st.DataObject) -> None:
    write_idx(tmp_path / "mnist")
    path = tmp_path / "mnist" / f"{STEMS[0]}.gz"
    whole = path.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:position])
    else:
        path.write_bytes(
            whole[:position] + bytes([whole[position] ^ data.draw(st.integers(1, 255))]) + whole[position + 1 :]
        )
    try:
        dataset = load("mnist", root=tmp_path)
    except DatasetFormatError:
        return
    check_small_mnist(dataset)  # bytes of the gzip header that mean nothing


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"\x80\x04."])
def test_damaged_keras_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "mnist.npz").write_bytes(content)
    with pytest.raises(DatasetFormatError, match="Keras"):
        load("mnist", root=tmp_path)


def test_digits_of_scikit_learn() -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    digits = load("digits")
    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    np.testing.assert_array_equal(np.vstack([digits.train, digits.test]), (images / 16).astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([digits.train_labels, digits.test_labels]), labels)
    assert (len(digits.train), len(digits.test)) == (1500, 297)
    assert digits.image_shape == (8, 8)


@pytest.mark.parametrize("content", [b"", b"1,2,3\n4,5,6\n", b"words\n"])
def test_damaged_digits_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DatasetFormatError, match=r"digits\.csv\.gz"):
        load("digits", root=tmp_path)


# Packing


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 4096, 4097, 9000])
def test_binarize_by_threshold(rows: int) -> None:
    x = np.random.default_rng(rows).random((rows, 5), dtype=np.float32)
    x[0, 0] = 0.25
    bits = binarize(x, 0.25)
    assert bits.shape == (rows, 5)
    np.testing.assert_array_equal(bits.to_dense(), x > 0.25)


def test_binarize_stochastic_draws_with_the_grey_value() -> None:
    x = np.tile(np.array([0.0, 0.1, 0.5, 0.9, 1.0], dtype=np.float32), (9000, 1))
    bits = binarize_stochastic(x, 3)
    means = bits.to_dense().mean(axis=0)
    assert means[0] == 0
    assert means[4] == 1
    # Three means, five and a half standard errors: a false alarm for 1.1 seeds in 1e7.
    assert (np.abs(means - x[0]) <= 5.5 * np.sqrt(x[0] * (1 - x[0]) / 9000)).all()
    assert binarize_stochastic(x, hc.Generator(3)) == bits
    assert binarize_stochastic(x, 4) != bits


@pytest.mark.parametrize("function", [binarize, lambda x: binarize_stochastic(x, 0)])
@pytest.mark.parametrize("x", [np.zeros(3), np.full((2, 2), np.nan)])
def test_unusable_grey_values_are_refused(function: object, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="x: expected"):
        function(x)  # type: ignore[operator]


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_probabilities_outside_the_unit_interval_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"x: expected values in \[0, 1\]"):
        binarize_stochastic(np.full((2, 2), value), 0)
