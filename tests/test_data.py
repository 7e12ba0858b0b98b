"""Tests of vaelab.data: where the images come from, what they are, and what happens when a file is bad."""

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from vaelab import data
from vaelab.data import DataError, Images, digits, get_mnist_dataloaders, mnist

NAMES = list(data.FILES)


def idx(values: torch.Tensor) -> bytes:
    """The IDX format of MNIST's files: a magic number, the sizes, the bytes."""
    header = bytes([0, 0, 8, values.dim()])
    return header + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.numpy().tobytes()


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A folder in MNIST's layout whose files are small, with the checksums that vaelab expects changed to theirs."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    expected = {}
    for name, n in zip(NAMES, (60, 60, 20, 20), strict=True):
        images = torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8)
        labels = torch.randint(0, 10, (n,), dtype=torch.uint8)
        (raw / name).write_bytes(idx(images if "images" in name else labels))
        expected[name] = hashlib.sha256((raw / name).read_bytes()).hexdigest()
    monkeypatch.setattr(data, "FILES", expected)
    monkeypatch.setenv("VAELAB_DATA", str(tmp_path))
    return tmp_path


def test_named_folder_is_read(small):
    splits = mnist(validation=10)
    assert splits.name == "MNIST"
    assert [len(s) for s in splits[:3]] == [50, 10, 20]
    assert splits.train.pixels.dtype == torch.uint8
    assert splits.train.labels.dtype == torch.int64
    raw = (small / "MNIST/raw" / NAMES[0]).read_bytes()[16:]
    assert bytes(splits.train.pixels[0].flatten().tolist()) == raw[:784]


def test_validation_takes_the_last_training_images(small):
    everything, split = mnist(validation=0), mnist(validation=10)
    assert torch.equal(everything.train.pixels[50:], split.validation.pixels)
    assert torch.equal(everything.train.labels[:50], split.train.labels)


def test_the_note_names_what_there_is(small):
    assert mnist(validation=10).note == "This run used MNIST: 50 training, 10 validation, 20 test images."
    assert mnist(validation=0).note == "This run used MNIST: 60 training, 20 test images."


@pytest.mark.parametrize("validation", [-1, 60_000])
def test_impossible_validation_size(validation):
    with pytest.raises(ValueError, match="validation must be"):
        mnist(validation=validation)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "corrupt", "empty", "a folder", "packed"])
def test_bad_file_is_named_with_a_remedy(small, name, damage):
    path = small / "MNIST" / "raw" / name
    good = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(good[:-1])
    elif damage == "corrupt":
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    elif damage == "empty":
        path.touch()
    elif damage == "a folder":
        path.mkdir()
    elif damage == "packed":
        path.write_bytes(gzip.compress(good))
    with pytest.raises(DataError, match=name) as error:
        mnist()
    assert "VAELAB_DATA" in str(error.value)


def test_named_folder_that_is_absent_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("VAELAB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        mnist()


def test_relative_folder_is_found_from_the_project(small, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("VAELAB_DATA", small.name)
    monkeypatch.setattr(data, "PROJECT", small.parent)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert mnist(validation=10).name == "MNIST"


def test_without_files_and_network_the_stand_in_is_announced(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("VAELAB_DATA", raising=False)
    monkeypatch.setattr(data, "_project_data", lambda: tmp_path)
    monkeypatch.setattr(data, "_download", lambda folder: False)
    splits = mnist()
    assert splits.name == "digits"
    assert "stand-in data, not MNIST" in capsys.readouterr().out
    assert "admonition warning" in splits._repr_html_()
    assert [len(s) for s in splits[:3]] == [1257, 180, 360]
    assert len(mnist(validation=0).train) == 1437


def test_the_stand_in_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("VAELAB_DATA", "digits")
    monkeypatch.setattr(data, "_download", lambda folder: pytest.fail("nothing is to be downloaded"))
    assert mnist().name == "digits"
    assert len(mnist(validation=0).train) == 1437
    with pytest.raises(DataError):
        mnist(root="digits")  # a folder, which is not there


def fake_torchvision(monkeypatch, source, fail_after=None):
    """Let torchvision's MNIST 'download' copy files from ``source``, stopping after ``fail_after`` of them."""

    def download(root, download):
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for i, name in enumerate(NAMES):
            if i == fail_after:
                raise KeyboardInterrupt
            (raw / name).write_bytes((source / "MNIST/raw" / name).read_bytes())
            (raw / f"{name}.gz").write_bytes(b"packed")

    monkeypatch.setattr("torchvision.datasets.MNIST", download)


def test_download_lands_whole(small, monkeypatch, tmp_path_factory):
    target = tmp_path_factory.mktemp("project") / "data"
    monkeypatch.delenv("VAELAB_DATA")
    monkeypatch.setattr(data, "_project_data", lambda: target)
    fake_torchvision(monkeypatch, small)
    assert mnist(validation=10).name == "MNIST"
    assert sorted(p.name for p in (target / "MNIST/raw").iterdir()) == sorted(NAMES)
    assert [p.name for p in target.iterdir()] == ["MNIST"]


@pytest.mark.parametrize("files", [0, 1, 3])
def test_interrupted_download_leaves_nothing_that_counts(small, monkeypatch, tmp_path_factory, files):
    target = tmp_path_factory.mktemp("project") / "data"
    monkeypatch.delenv("VAELAB_DATA")
    monkeypatch.setattr(data, "_project_data", lambda: target)
    fake_torchvision(monkeypatch, small, fail_after=files)
    with pytest.raises(KeyboardInterrupt):
        mnist()
    assert not (target / "MNIST").exists()
    fake_torchvision(monkeypatch, small)
    assert mnist(validation=10).name == "MNIST"


def test_download_without_network_reports_and_cleans_up(tmp_path, monkeypatch, capsys):
    def refuse(root, download):
        raise RuntimeError("no route")

    monkeypatch.setattr("torchvision.datasets.MNIST", refuse)
    assert not data._download(tmp_path / "data")
    assert "no route" in capsys.readouterr().out
    assert list((tmp_path / "data").iterdir()) == []


def test_command_line_fails_plainly(tmp_path):
    env = {**os.environ, "VAELAB_DATA": str(tmp_path / "nowhere")}
    done = subprocess.run([sys.executable, "-m", "vaelab.data"], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr


def test_batches_cover_everything_once_and_convert(generator):
    images = Images(torch.arange(10, dtype=torch.uint8).view(10, 1, 1).expand(10, 28, 28), torch.arange(10))
    seen = []
    for x, labels in images.batches(3, generator, shuffle=True):
        assert x.dtype == torch.float32
        assert x.shape == (len(labels), 784)
        torch.testing.assert_close(x[:, 0], labels / 255)
        seen += labels.tolist()
    assert sorted(seen) == list(range(10))
    assert seen != list(range(10))
    assert images.pixels.dtype == torch.uint8


def test_order_comes_from_the_generator_alone():
    images = digits().test
    before = torch.get_rng_state()
    a, b, c = (
        torch.cat([y for _, y in images.batches(50, torch.Generator().manual_seed(s), shuffle=True)]) for s in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size"):
        next(digits().test.batches(0))


def test_binarized_pixels_have_the_grey_value_as_their_probability(generator):
    n = 200_000
    values = torch.tensor([0, 1, 64, 128, 254, 255], dtype=torch.uint8)
    images = Images(values.repeat(n, 1), torch.zeros(n, dtype=torch.int64))
    share = (images.binarized(generator).pixels == 255).double().mean(0)
    p = values.double() / 255
    assert share[0] == 0
    assert share[-1] == 1
    # Six standard errors: a false alarm in 5e8.
    assert ((share - p).abs() <= 6 * (p * (1 - p) / n).sqrt()).all()


def test_binarize_draws_afresh_in_every_pass(generator):
    images = digits().test
    first, second = (next(images.batches(50, generator, binarize=True))[0] for _ in range(2))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)


def test_digits_look_like_mnist():
    splits = digits()
    assert splits.train.pixels.shape[1:] == (28, 28)
    mass = splits.train.pixels.double()
    row = (mass.sum(2) * torch.arange(28)).sum(1) / mass.sum((1, 2))
    assert ((row - 13.5).abs() < 1).double().mean() > 0.95
    assert all(len(s.labels.unique()) == 10 for s in splits[:3])
    again = digits()
    assert torch.equal(splits.test.pixels, again.test.pixels)


def test_dataloaders(small):
    train, validation, test = get_mnist_dataloaders(batch_size=16, validation=10)
    assert all(isinstance(loader, DataLoader) for loader in (train, validation, test))
    x, label = next(iter(train))
    assert x.shape == (16, 1, 28, 28)
    assert 0 <= x.min() <= x.max() <= 1
    assert label.shape == (16,)
    assert [len(loader.dataset) for loader in (train, validation, test)] == [50, 10, 20]
    x, target = next(iter(get_mnist_dataloaders(16, validation=0, targets="images")[0]))
    assert torch.equal(x, target)
    with pytest.raises(ValueError, match="targets"):
        get_mnist_dataloaders(targets="pixels")
