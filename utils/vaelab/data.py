"""MNIST as tensors in memory, and an honest stand-in where MNIST cannot be had.

Images are kept once, as ``uint8``; a batch becomes ``float32`` in [0, 1] when it is asked for. There are no per-sample
transforms: on a small model they cost more time than the training itself (see ``benchmarks/``).
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["DataError", "Images", "Splits", "digits", "get_mnist_dataloaders", "mnist"]

# SHA-256 of the four files of MNIST, unpacked (LeCun, Cortes and Burges; 60,000 + 10,000 images of 28 x 28).
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PROJECT = Path(__file__).resolve().parents[2]
DOWNLOAD_TIMEOUT = 10.0  # seconds without an answer


class DataError(RuntimeError):
    """A data file is missing, unreadable or damaged; the message names the file and the remedy."""


@dataclass(frozen=True)
class Images:
    """A set of labelled grey images.

    Attributes:
        pixels: The images, ``uint8`` of shape ``[n, 28, 28]``.
        labels: The digit on each, ``int64`` of shape ``[n]``.
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> Images:
        return Images(self.pixels[index], self.labels[index])

    @property
    def x(self) -> Tensor:
        """All images at once, ``float32`` in [0, 1] of shape ``[n, 784]``: a copy, four times the size."""
        return _as_float(self.pixels)

    def batches(
        self,
        batch_size: int,
        generator: torch.Generator | None = None,
        shuffle: bool = False,
        binarize: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the set once.

        Arguments:
            batch_size: Images per batch; the last batch may be smaller.
            generator: The source of the order and of the binarization.
            shuffle: Draw a fresh order. The whole epoch is gathered at once, which beats a gather per batch.
            binarize: Draw each pixel afresh, 1 with probability value / 255, as Burda et al. (2016) do.

        Yields:
            ``x``, ``float32`` in [0, 1] of shape ``[batch, 784]``, and the labels, ``[batch]``.

        Raises:
            ValueError: If ``batch_size`` is not positive.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        source = self
        if shuffle:
            order = torch.randperm(len(self), generator=generator)  # index_select copies whole images
            source = Images(self.pixels.index_select(0, order), self.labels[order])
        if binarize:
            source = source.binarized(generator)
        for pixels, labels in zip(source.pixels.split(batch_size), source.labels.split(batch_size), strict=True):
            yield _as_float(pixels), labels

    def binarized(self, generator: torch.Generator | None = None) -> Images:
        """The same images with every pixel drawn once: 255 with probability value / 255, else 0."""
        draw = torch.randint(0, 255, self.pixels.shape, dtype=torch.uint8, generator=generator)
        return Images(255 * (self.pixels > draw).to(torch.uint8), self.labels)


class Splits(NamedTuple):
    """Training, validation and test images, and where they come from.

    In a notebook it shows itself as a note that says which data were used.
    """

    train: Images
    validation: Images
    test: Images
    name: Literal["MNIST", "digits"]

    @property
    def note(self) -> str:
        """One sentence for people: which data these are."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}.items()
        sizes = ", ".join(f"{len(images):,} {part}" for part, images in parts if len(images)) + " images"
        if self.name == "MNIST":
            return f"This run used MNIST: {sizes}."
        return (
            f"This run used stand-in data, not MNIST: scikit-learn's handwritten digits, enlarged from 8x8 ({sizes}). "
            "Numbers and pictures differ from those with MNIST."
        )

    def __repr__(self) -> str:
        return self.note

    def _repr_html_(self) -> str:
        kind = "note" if self.name == "MNIST" else "warning"
        return f'<div class="admonition {kind}"><p class="admonition-title">Data</p><p>{escape(self.note)}</p></div>'


def mnist(validation: int = 5_000, root: str | Path | None = None, download: bool = True) -> Splits:
    """Load MNIST; where it cannot be had, the stand-in of :func:`digits`, announced.

    Looked for in ``root`` if given; else in the folder that the environment variable ``VAELAB_DATA`` names, else in
    ``data/`` of the project, else downloaded there by torchvision. Layout: torchvision's ``MNIST/raw/*-ubyte``.
    ``VAELAB_DATA=digits`` asks for the stand-in.

    Arguments:
        validation: How many of the 60,000 training images, the last ones, are set apart for validation.
        root: A folder that must hold MNIST.
        download: Whether a download may be tried.

    Raises:
        DataError: If a folder named by ``root`` or ``VAELAB_DATA`` lacks a file, or a file is short or damaged.
        ValueError: If ``validation`` is negative or leaves nothing to train on.
    """
    if not 0 <= validation < 60_000:
        raise ValueError(f"validation must be at least 0 and below 60,000, got {validation}")
    named = root or os.environ.get("VAELAB_DATA")
    stand_in = root is None and named == "digits"
    if named and not stand_in:
        train, test = _read(_resolve(Path(named)))
    else:
        folder = _project_data()
        if stand_in or (not (folder / "MNIST").is_dir() and not (download and _download(folder))):
            splits = digits(validation=validation > 0)
            print(splits.note)
            return splits
        train, test = _read(folder)
    cut = len(train) - validation
    return Splits(train[:cut], train[cut:], test, "MNIST")


def digits(validation: bool = True) -> Splits:
    """Scikit-learn's bundled handwritten digits, 1,797 real ones of 8x8, made to look like MNIST.

    Enlarged to 20x20 and placed so that the centre of mass is the centre of a 28x28 field, as MNIST was made
    (LeCun et al., 1998). One fixed, stratified split: 1,257 training, 180 validation, 360 test images; without
    ``validation`` its images are trained on too. No download.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 16
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bicubic").clamp(0, 1)
    all_images = Images(_centred(large[:, 0]), torch.from_numpy(labels).long())
    rest, test = train_test_split(torch.arange(len(all_images)), test_size=360, stratify=labels, random_state=0)
    train, held_out = train_test_split(rest, test_size=180, stratify=labels[rest], random_state=0)
    if not validation:
        train, held_out = rest, held_out[:0]
    return Splits(all_images[train], all_images[held_out], all_images[test], "digits")


def get_mnist_dataloaders(
    batch_size: int = 128,
    validation: int = 5_000,
    targets: Literal["labels", "images"] = "labels",
    seed: int = 0,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Plain ``DataLoader``s over the train, validation and test splits, for those who want them.

    Arguments:
        batch_size: Images per batch.
        validation: As for :func:`mnist`.
        targets: What comes beside an image: its label, or the image itself, as an autoencoder's loop expects.
        seed: Seed of the training order.

    Returns:
        Loaders of ``(x, target)``, ``x`` being ``float32`` in [0, 1] of shape ``[batch, 1, 28, 28]``.
    """
    if targets not in ("labels", "images"):
        raise ValueError(f'targets must be "labels" or "images", got {targets!r}')

    def loader(images: Images, shuffle: bool) -> DataLoader:
        x = images.x.view(-1, 1, 28, 28)
        dataset = TensorDataset(x, images.labels if targets == "labels" else x)
        order = torch.Generator().manual_seed(seed)
        return DataLoader(dataset, batch_size, shuffle=shuffle, generator=order)

    splits = mnist(validation)
    return (
        loader(splits.train, shuffle=len(splits.train) > 0),
        loader(splits.validation, shuffle=False),
        loader(splits.test, shuffle=False),
    )


def _as_float(pixels: Tensor) -> Tensor:
    return pixels.flatten(1).float().div_(255)


def _resolve(folder: Path) -> Path:
    """A relative folder is looked for from here, then from the project: pages run in ``book/``."""
    if not folder.is_absolute() and not folder.is_dir() and (PROJECT / folder).is_dir():
        return PROJECT / folder
    return folder


def _project_data() -> Path:
    return (PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.cwd()) / "data"


def _read(root: Path) -> tuple[Images, Images]:
    """Read and verify the four files under ``root/MNIST/raw``; raise :exc:`DataError` at the first fault."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    raw = root / "MNIST" / "raw"
    for name, sha256 in FILES.items():
        _verify(raw / name, sha256)
    train, test = (
        Images(
            read_image_file(str(raw / f"{part}-images-idx3-ubyte")),
            read_label_file(str(raw / f"{part}-labels-idx1-ubyte")),
        )
        for part in ("train", "t10k")
    )
    return train, test


def _verify(path: Path, sha256: str) -> None:
    remedy = (
        "Put the four unpacked MNIST files into that folder, or unset VAELAB_DATA and delete the folder to have "
        "them downloaded into data/ again."
    )
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path} is missing. {remedy}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). {remedy}") from error
    if found != sha256:
        size = path.stat().st_size
        raise DataError(
            f"{path} ({size:,} bytes) is not the MNIST file of that name: it is truncated or damaged. {remedy}"
        )


def _download(folder: Path) -> bool:
    """Let torchvision download and check MNIST beside ``folder``, then move it into place in one step.

    An interrupted download leaves at most a stray temporary folder, never a half-filled ``MNIST/``.
    """
    from torchvision.datasets import MNIST

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
        print("MNIST: not found in data/; downloading it (about 12 MB)")
        try:
            with _socket_timeout(DOWNLOAD_TIMEOUT):
                MNIST(scratch, download=True)
        except (OSError, RuntimeError) as error:
            print(f"MNIST: the download failed ({str(error).splitlines()[0].rstrip(':')})")
            return False
        for packed in Path(scratch, "MNIST", "raw").glob("*.gz"):
            packed.unlink()
        _read(Path(scratch))
        try:
            os.replace(Path(scratch, "MNIST"), folder / "MNIST")
        except OSError:  # another process was first; its files are verified when they are read
            if not (folder / "MNIST").is_dir():
                raise
    return True


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _centred(images: Tensor, size: int = 28) -> Tensor:
    """Place ``[n, h, w]`` images in [0, 1] on a ``size`` field, centre of mass in the middle; ``uint8``."""
    n, height, width = images.shape
    mass = images.sum((1, 2))
    row = (images.sum(2) * torch.arange(height)).sum(1) / mass
    column = (images.sum(1) * torch.arange(width)).sum(1) / mass
    top = ((size - 1) / 2 - row).round().long().clamp(0, size - height)
    left = ((size - 1) / 2 - column).round().long().clamp(0, size - width)
    field = torch.zeros(n, size, size, dtype=torch.uint8)
    for i in range(n):
        window = field[i, top[i] : top[i] + height, left[i] : left[i] + width]
        window.copy_((images[i] * 255).round())
    return field


if __name__ == "__main__":
    try:
        print(f"data: {mnist(validation=0).name}")
    except DataError as error:
        raise SystemExit(f"data: {error}") from None
