"""Tests of vaelab.training: the loop learns, its checkpoints are exact, and a kill at any moment costs nothing."""

import os
import random
import subprocess
import sys
import time

import pytest
import torch

from vaelab.data import Images, digits
from vaelab.evaluation import evaluate
from vaelab.models import Autoencoder, mlp_vae
from vaelab.objectives import bernoulli_nll, free_bits, kl_per_dimension, negative_elbo
from vaelab.training import CheckpointError, best_path, fit, load_checkpoint, save_checkpoint


def model(latent_dim=4):
    torch.manual_seed(3)
    return mlp_vae(hidden_dims=(32,), latent_dim=latent_dim)


def same(a, b) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.fixture(scope="module")
def images() -> Images:
    return digits().train[:500]


def test_fit_lowers_the_loss_on_unseen_images(images):
    vae, unseen = model(), digits().test
    before = evaluate(vae, unseen)
    history = fit(vae, images, epochs=15, validation=unseen, progress=False)
    after = evaluate(vae, unseen)
    assert after["loss"] < 0.6 * before["loss"]
    assert after["loss"] == pytest.approx(after["reconstruction"] + after["kl"])
    assert history[-1]["validation"] == pytest.approx(after["loss"])
    assert [h["loss"] for h in history] == sorted((h["loss"] for h in history), reverse=True)
    assert all(h["loss"] == pytest.approx(h["reconstruction"] + h["kl"]) for h in history)


def test_fit_takes_the_step_that_autograd_takes(images):
    """One step of fit equals one step written out with negative_elbo and plain Adam."""
    ours, plain = model(), model()
    fit(ours, images[:64], epochs=1, batch_size=64, beta=2.0, seed=5, progress=False)
    generator = torch.Generator().manual_seed(5)
    x, _ = next(images[:64].batches(64, generator, shuffle=True))
    logits, mu, logvar = plain(x, generator)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    negative_elbo(logits, x, mu, logvar, beta=2.0).backward()
    optimizer.step()
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_seed_decides_everything_but_the_first_weights(images):
    runs = [model() for _ in range(3)]
    for vae, seed in zip(runs, (1, 1, 2), strict=True):
        torch.manual_seed(random.randrange(2**31))
        fit(vae, images, epochs=1, binarize="afresh", seed=seed, progress=False)
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@pytest.mark.parametrize("binarize", ["none", "fixed", "afresh"])
def test_resumed_run_has_the_same_bits(images, tmp_path, binarize):
    straight, stopped, resumed = model(), model(), model()
    whole = fit(straight, images, epochs=5, binarize=binarize, progress=False)
    path = tmp_path / "run" / "last.pt"
    fit(stopped, images, epochs=2, binarize=binarize, checkpoint=path, progress=False)
    history = fit(resumed, images, epochs=5, binarize=binarize, checkpoint=path, resume=True, progress=False)
    assert same(straight, resumed)
    assert [h["loss"] for h in history] == [h["loss"] for h in whole]


EVERYTHING = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "annealing": "cyclical",
    "free_bits": 0.05,
    "clip": 20.0,
    "beta": 2.0,
    "bfloat16": True,
    "epochs": 4,
    "progress": False,
}


def test_resumed_run_has_the_same_bits_with_every_option(images, tmp_path, monkeypatch):
    unseen = digits().validation
    straight, resumed, path = model(), model(), tmp_path / "last.pt"
    whole = fit(straight, images, validation=unseen, **EVERYTHING)
    saves = []

    def dies(*arguments):
        saves.append(save_checkpoint(*arguments))
        if len(saves) == 5:  # best and last of two epochs, and the best of the third
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("vaelab.training.save_checkpoint", dies)
        with pytest.raises(KeyboardInterrupt):
            fit(model(), images, validation=unseen, checkpoint=path, **EVERYTHING)
    assert len(load_checkpoint(path)["history"]) == 2
    history = fit(resumed, images, validation=unseen, checkpoint=path, resume=True, **EVERYTHING)
    assert same(straight, resumed)
    assert history.steps == whole.steps
    assert [r["validation"] for r in history] == [r["validation"] for r in whole]


def test_history_has_every_term_of_every_step(images):
    history = fit(model(), images, epochs=2, batch_size=150, clip=1.0, beta=3.0, annealing="linear", progress=False)
    steps = history.steps
    assert set(steps) == {"loss", "reconstruction", "kl", "lr", "beta", "gradient_norm"}
    assert {len(values) for values in steps.values()} == {8}
    assert steps["beta"] == pytest.approx([0, 0.75, 1.5, 2.25, 3, 3, 3, 3])
    for loss, reconstruction, kl, beta in zip(
        *(steps[k] for k in ("loss", "reconstruction", "kl", "beta")), strict=True
    ):
        assert loss == pytest.approx(reconstruction + beta * kl, rel=1e-5)
    sizes = [150, 150, 150, 50]
    mean = sum(n * kl for n, kl in zip(sizes, steps["kl"][:4], strict=True)) / 500
    assert history[0]["kl"] == pytest.approx(mean)


def test_free_bits_and_clipping_as_written_out(images):
    ours, plain = model(), model()
    fit(ours, images[:64], epochs=1, batch_size=64, free_bits=0.01, clip=0.5, progress=False)
    generator = torch.Generator().manual_seed(0)
    x, _ = next(images[:64].batches(64, generator, shuffle=True))
    logits, mu, logvar = plain(x, generator)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    (bernoulli_nll(logits, x).mean() + free_bits(kl_per_dimension(mu, logvar), 0.01)).backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
    optimizer.step()
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_early_stopping_keeps_the_best_epoch(images, tmp_path):
    unseen, few, path = digits().validation, images[:40], tmp_path / "last.pt"
    options = {"epochs": 300, "lr": 5e-3, "validation": unseen, "patience": 3, "progress": False}
    vae = model()
    history = fit(vae, few, checkpoint=path, **options)
    losses = [record["validation"] for record in history]
    best = losses.index(min(losses))
    assert len(history) == best + 4 < 300
    assert evaluate(vae, unseen)["loss"] == pytest.approx(losses[best])
    kept = model()
    assert len(load_checkpoint(best_path(path), kept)["history"]) == best + 1
    assert same(kept, vae)
    in_memory, again = model(), model()
    fit(in_memory, few, **options)
    assert same(in_memory, vae)
    assert fit(again, few, checkpoint=path, resume=True, **options) == history
    assert same(again, vae)


def test_fixed_binarization_trains_on_one_drawing(images):
    seen = []

    class Spy(type(model())):
        def terms(self, x, generator=None):
            seen.append(x)
            return super().terms(x, generator)

    vae = model()
    vae.__class__ = Spy
    for binarize, drawings in (("fixed", 1), ("afresh", 2), ("none", 1)):
        seen.clear()
        fit(vae, images[:1], epochs=2, binarize=binarize, progress=False)
        assert len({tuple(x.flatten().tolist()) for x in seen}) == drawings
        assert all(set(x.unique().tolist()) <= {0.0, 1.0} for x in seen) is (binarize != "none")


def test_plain_autoencoder_has_no_kl(images):
    vae = model()
    plain = Autoencoder(vae.encoder, vae.decoder)
    history = fit(plain, images, epochs=3, beta=5.0, progress=False)
    assert [record["kl"] for record in history] == [0, 0, 0]
    assert history[2]["loss"] == history[2]["reconstruction"] < history[0]["loss"]
    assert evaluate(plain, images)["kl"] == 0


def test_finished_run_is_not_trained_again(images, tmp_path):
    vae, again = model(), model()
    fit(vae, images, epochs=2, checkpoint=tmp_path / "a.pt", progress=False)
    fit(again, images, epochs=2, checkpoint=tmp_path / "a.pt", resume=True, progress=False)
    assert same(vae, again)


TRAIN = """
import sys, torch
from vaelab.data import digits
from vaelab.models import mlp_vae
from vaelab.training import fit
torch.manual_seed(3)
vae = mlp_vae(hidden_dims=(32,), latent_dim=4)
fit(vae, digits().train[:500], epochs=120, checkpoint=sys.argv[1], resume=True, progress=False)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_bits(images, tmp_path):
    straight = model()
    fit(straight, images, epochs=120, progress=False)
    path, rng = tmp_path / "last.pt", random.Random(0)
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}

    def start() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", TRAIN, str(path)], env=env)

    for kills in range(int(os.environ.get("KILLS", "5"))):
        process = start()
        done = load_checkpoint(path)["history"] if kills else []
        while not path.exists() or len(load_checkpoint(path)["history"]) == len(done):
            assert process.poll() is None, "it should be training"
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.04))  # a checkpoint was written; kill in or between the next ones
        process.kill()
        process.wait()
    assert 0 < len(load_checkpoint(path)["history"]) < 120
    assert start().wait() == 0
    found = model()
    assert len(load_checkpoint(path, found)["history"]) == 120
    assert same(straight, found)


def test_write_that_dies_half_way_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path, vae = tmp_path / "a.pt", model()
    save_checkpoint(path, vae)
    good = path.read_bytes()

    def dies(state, file):
        file.write(good[: len(good) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, vae)
    assert path.read_bytes() == good
    load_checkpoint(path, model())


def test_existing_checkpoint_is_not_overwritten_silently(images, tmp_path):
    path = tmp_path / "a.pt"
    fit(model(), images, epochs=1, checkpoint=path, progress=False)
    with pytest.raises(CheckpointError, match="resume=True"):
        fit(model(), images, epochs=1, checkpoint=path, progress=False)


def test_other_settings_are_refused(images, tmp_path):
    path = tmp_path / "a.pt"
    fit(model(), images, epochs=1, checkpoint=path, progress=False)
    with pytest.raises(CheckpointError, match=r"lr=0\.001, not 0\.01"):
        fit(model(), images, epochs=2, lr=1e-2, checkpoint=path, resume=True, progress=False)


def test_bad_checkpoints_get_plain_errors(tmp_path):
    path, vae = tmp_path / "a.pt", model()
    save_checkpoint(path, vae)
    cases = {
        "missing": (tmp_path / "none.pt", None, "does not exist"),
        "truncated": (tmp_path / "t.pt", path.read_bytes()[:-100], "truncated, damaged"),
        "text": (tmp_path / "x.pt", b"not a checkpoint", "truncated, damaged"),
        "empty": (tmp_path / "e.pt", b"", "truncated, damaged"),
    }
    for file, content, message in cases.values():
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CheckpointError, match=message) as error:
            load_checkpoint(file, vae)
        assert file.name in str(error.value)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of vaelab"):
        load_checkpoint(tmp_path / "foreign.pt", vae)
    torch.save({"format": torch.load(path, weights_only=True)["format"]}, tmp_path / "partial.pt")
    with pytest.raises(CheckpointError, match="lacks a part of a checkpoint"):
        load_checkpoint(tmp_path / "partial.pt", vae)
    with pytest.raises(CheckpointError, match="another model"):
        load_checkpoint(path, model(latent_dim=7))


def test_checkpoint_cannot_run_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"format": Payload()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_not_finite_stops_and_keeps_the_last_checkpoint(images, tmp_path):
    path, vae = tmp_path / "a.pt", model()
    fit(vae, images, epochs=1, checkpoint=path, progress=False)
    good = path.read_bytes()
    state = torch.load(path, weights_only=True)
    broken = model()
    with torch.no_grad():
        broken.encoder.net[-1].bias.fill_(float("nan"))
    state["model"] = broken.state_dict()
    torch.save(state, path)
    poisoned = path.read_bytes()
    with pytest.raises(FloatingPointError, match=r"epoch 2, step 1.*learning rate"):
        fit(model(), images, epochs=2, checkpoint=path, resume=True, progress=False)
    assert path.read_bytes() == poisoned != good


def test_not_finite_weights_are_not_saved(images, tmp_path):
    """A last step that breaks the weights shows in no loss; the checkpoint before it is kept."""
    path = tmp_path / "a.pt"
    vae = model()
    with pytest.raises(FloatingPointError, match=r"epoch 1.*not finite.*clip the gradient"):
        fit(vae, images[:64], epochs=1, batch_size=64, lr=1e39, checkpoint=path, progress=False)
    assert not path.exists()


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"beta": -1.0},
        {"free_bits": -0.1},
        {"clip": 0.0},
        {"weight_decay": -1.0},
        {"optimizer": "sgd"},
        {"schedule": "exponential"},
        {"annealing": "monotone"},
        {"binarize": True},
        {"patience": 0},
    ],
)
def test_settings_out_of_range(images, bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be .*, got"):
        fit(model(), images, **bad)


def test_patience_needs_validation_images(images):
    with pytest.raises(ValueError, match="patience needs validation images"):
        fit(model(), images, patience=3)


def test_longer_resume_only_where_the_course_of_the_run_allows(images, tmp_path):
    fit(model(), images, epochs=1, checkpoint=tmp_path / "a.pt", schedule="cosine", progress=False)
    with pytest.raises(CheckpointError, match="epochs=1, not 2"):
        fit(model(), images, epochs=2, checkpoint=tmp_path / "a.pt", schedule="cosine", resume=True, progress=False)


def test_no_images():
    with pytest.raises(ValueError, match="no training images"):
        fit(model(), digits().train[:0])


def test_bar_is_on_stdout_and_stderr_is_silent(images, capsys):
    fit(model(), images, epochs=1)
    out, err = capsys.readouterr()
    assert "epoch 1 of 1" in out
    assert err == ""


def test_evaluation_leaves_the_mode_and_does_not_depend_on_batches(images):
    vae = model().train()
    small, large = evaluate(vae, images, batch_size=7), evaluate(vae, images, batch_size=500)
    assert vae.training
    assert small["kl"] == pytest.approx(large["kl"], rel=1e-5)
    # The noise is drawn batch by batch from one generator: the same numbers, cut differently.
    assert small["loss"] == pytest.approx(large["loss"], rel=1e-2)
