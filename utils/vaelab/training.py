"""Training: one loop, its history, and checkpoints from which it resumes to the same bits."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .data import Images
from .evaluation import evaluate
from .kernels import adam_step, forget_tiny_means_, in_bfloat16
from .models import VAE
from .objectives import free_bits as with_free_bits
from .progress import Progress
from .schedules import kl_weight, learning_rate

__all__ = ["CheckpointError", "History", "best_path", "fit", "load_checkpoint", "save_checkpoint"]

FORMAT = "vaelab checkpoint 2"
TERMS = ("loss", "reconstruction", "kl")
LOOK_EVERY = 100  # steps between two looks at whether the terms are finite, for which the device is waited for
OPTIMIZERS = ("adam", "adamw")
BINARIZE = ("none", "fixed", "afresh")
Record = dict[str, float]


class History(list[Record]):
    """One record per epoch, and every step's values.

    Attributes:
        steps: Lists with one value per step: ``loss``, ``reconstruction`` and ``kl`` (nats per image), ``lr``, ``beta``
            and, where gradients are clipped, ``gradient_norm`` before clipping.
    """

    def __init__(self, epochs: Iterable[Record] = (), steps: Mapping[str, Sequence[float]] | None = None) -> None:
        super().__init__(epochs)
        self.steps = {name: list(values) for name, values in (steps or {}).items()}


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, foreign or does not fit; the message names the file and the remedy."""


def fit(
    model: VAE,
    train: Images,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    optimizer: Literal["adam", "adamw"] = "adam",
    weight_decay: float = 0.01,
    schedule: Literal["constant", "step", "cosine"] = "constant",
    beta: float = 1.0,
    annealing: Literal["none", "linear", "cyclical"] = "none",
    free_bits: float = 0.0,
    clip: float | None = None,
    binarize: Literal["none", "fixed", "afresh"] = "none",
    validation: Images | None = None,
    patience: int | None = None,
    bfloat16: bool = False,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Maximise the ELBO.

    One generator, seeded with ``seed``, draws everything: the order of the images, their binarization and the noise.
    After each epoch the weights, the optimizer's state, the history and the generator's state are saved, so that a run
    that was killed at any moment and resumed ends with the same bits as one that was not.

    Arguments:
        model: The model, on any device.
        train: The training images.
        epochs: Passes over ``train``, those of a resumed run included.
        batch_size: Images per step.
        lr: The learning rate, the largest of its schedule.
        optimizer: Adam, or AdamW with ``weight_decay``.
        weight_decay: AdamW's; Adam has none.
        schedule: The course of the learning rate, :func:`.schedules.learning_rate`.
        beta: Weight of the KL; 1 gives the ELBO.
        annealing: The course of that weight, :func:`.schedules.kl_weight`.
        free_bits: Nats that each latent dimension may carry at no cost, :func:`.objectives.free_bits`.
        clip: Largest norm of the gradient; a larger one is scaled down to it.
        binarize: Train on grey pixels, on pixels drawn once ("fixed") or in every epoch ("afresh").
        validation: Images whose -ELBO is recorded after each epoch.
        patience: Stop after so many epochs without a lower validation loss, and end with the best epoch's weights.
        bfloat16: Round the factors of products to bfloat16, which is faster, where the processor has units for it;
            elsewhere it changes nothing.
        seed: Seed of the generator.
        checkpoint: File to save after each epoch. With ``validation`` the best epoch is kept beside it, at
            :func:`best_path`.
        resume: Continue from ``checkpoint`` if it exists.
        progress: Show a bar (on stdout, never on stderr).

    Returns:
        One record per epoch: the means over its images of ``loss`` (what was minimised), ``reconstruction`` and ``kl``
        (nats per image), the ``seconds`` it took and, with ``validation``, the ``validation`` loss. Every step's
        values are in its ``steps``.

    Raises:
        CheckpointError: If ``checkpoint`` exists and ``resume`` is false, or it is of other settings or another model.
        FloatingPointError: If a term of the loss or a weight is not finite; the last checkpoint is kept.
        ValueError: If ``train`` is empty, or a setting is out of its range.
    """
    settings = {
        "images": len(train),
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "beta": beta,
        "annealing": annealing,
        "free_bits": free_bits,
        "clip": clip,
        "binarize": binarize,
        "bfloat16": bfloat16,
        "seed": seed,
        # Only where the course of the run depends on its length may a resumed run not be longer.
        "epochs": None if schedule == "constant" and annealing == "none" else epochs,
    }
    _check_settings(settings, epochs, patience, validation)
    run = _Run(model, train, settings, epochs)
    if checkpoint is not None and Path(checkpoint).exists():
        if not resume:
            raise CheckpointError(
                f"{checkpoint} exists: pass resume=True to continue it, or name another file to start afresh"
            )
        run.restore(checkpoint)

    history, best = run.history, None
    bar = Progress(epochs * run.steps_per_epoch, shown=progress)
    bar.update(len(history) * run.steps_per_epoch, _summary(history, epochs))
    while len(history) < epochs and not _out_of_patience(history, patience):
        record = run.epoch(bar)
        if validation is not None:
            record["validation"] = evaluate(model, validation)["loss"]
        history.append(record)
        if validation is not None and _since_best(history) == 0:
            if checkpoint is not None:
                run.save(best_path(checkpoint))
            elif patience is not None:
                best = copy.deepcopy(model.state_dict())
        if checkpoint is not None:
            run.save(checkpoint)
        bar.show(_summary(history, epochs))
    bar.close()
    if patience is not None and history:
        if checkpoint is not None:
            load_checkpoint(best_path(checkpoint), model)
        else:
            model.load_state_dict(best)
    return history


def best_path(checkpoint: str | Path) -> Path:
    """Where :func:`fit` keeps the best epoch of a run: ``run/last.pt`` has ``run/last.best.pt`` beside it."""
    checkpoint = Path(checkpoint)
    return checkpoint.with_name(f"{checkpoint.stem}.best{checkpoint.suffix}")


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
    history: list[Record] | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Save a training's whole state in one atomic step: ``path`` is the old file or the new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "format": FORMAT,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict() if optimizer else None,
        "generator": generator.get_state() if generator else None,
        "history": list(history or []),
        "steps": getattr(history, "steps", {}),
        "settings": settings or {},
    }
    scratch = path.with_name(f".{path.name}.partial")
    with scratch.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    return path


def load_checkpoint(
    path: str | Path,
    model: nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Any]:
    """Read a checkpoint (``weights_only=True``: no code in it can run) and restore what is given from it.

    Returns:
        The whole state: ``model``, ``optimizer``, ``generator``, ``history`` and ``settings``.

    Raises:
        CheckpointError: If the file is missing, damaged, not a checkpoint of this library, or of another model.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist: train first, or name another checkpoint") from None
    except Exception as error:  # torch raises many kinds, by where the damage is
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is truncated, damaged or another kind of file; "
            "restore it from a copy, or delete it and train again"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of vaelab ({FORMAT!r}): name one that fit() saved")
    try:
        if model is not None:
            model.load_state_dict(state["model"])
        if optimizer is not None and state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"])
        if generator is not None and state["generator"] is not None:
            generator.set_state(state["generator"])
        history = History(state["history"], state["steps"])
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path} belongs to another model: build the model with the sizes it was trained with ({error})"
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} lacks a part of a checkpoint of vaelab ({error}): restore it from a copy, or train again"
        ) from error
    return state | {"history": history}


class _Run:
    """A training under way: all that its next step depends on."""

    def __init__(self, model: VAE, train: Images, settings: dict[str, Any], epochs: int) -> None:
        self.model, self.settings, self.history = model, settings, History()
        self.weights = list(model.parameters())
        self.generator = torch.Generator().manual_seed(settings["seed"])
        fixed = settings["binarize"] == "fixed"
        self.train = train.binarized(torch.Generator().manual_seed(settings["seed"])) if fixed else train
        if settings["optimizer"] == "adamw":
            decay = settings["weight_decay"]
            self.optimizer = torch.optim.AdamW(self.weights, lr=settings["lr"], weight_decay=decay, fused=True)
        else:
            self.optimizer = torch.optim.Adam(self.weights, lr=settings["lr"], fused=True)
        self.steps_per_epoch = math.ceil(len(train) / settings["batch_size"])
        self.total = epochs * self.steps_per_epoch

    def epoch(self, bar: Progress) -> Record:
        """Go through the training images once; return the epoch's record and extend the history's steps."""
        start = time.perf_counter()
        done, sizes, steps = len(self.history), [], []
        device = self.weights[0].device
        self.model.train()
        afresh = self.settings["binarize"] == "afresh"
        for x, _ in self.train.batches(self.settings["batch_size"], self.generator, shuffle=True, binarize=afresh):
            steps.append(self.step(x.to(device), done * self.steps_per_epoch + len(steps)))
            sizes.append(len(x))
            # Not after every step: on an accelerator a look waits for it.
            if len(steps) % LOOK_EVERY == 0:
                _check_finite(torch.stack(steps[-LOOK_EVERY:]), done, len(steps) - LOOK_EVERY)
            bar.advance()
        values = torch.stack(steps).cpu().double()
        _check_finite(values, done, 0)
        if not all(weight.isfinite().all() for weight in self.weights):
            raise FloatingPointError(_not_finite(f"epoch {done + 1}, last step: a weight"))
        first, last = done * self.steps_per_epoch, (done + 1) * self.steps_per_epoch
        rates, weights = zip(*(self.schedule(step) for step in range(first, last)), strict=True)
        columns = dict(zip((*TERMS, "gradient_norm"), values.T.tolist(), strict=False))
        for name, column in (columns | {"lr": rates, "beta": weights}).items():
            self.history.steps.setdefault(name, []).extend(column)
        means = (values[:, : len(TERMS)] * torch.tensor(sizes)[:, None]).sum(0) / sum(sizes)
        return dict(zip(TERMS, means.tolist(), strict=True)) | {"seconds": time.perf_counter() - start}

    def step(self, x: Tensor, step: int) -> Tensor:
        """One step of Adam: its loss, reconstruction, KL and, if clipped, gradient norm; ``[3]`` or ``[4]``."""
        lr, beta = self.schedule(step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with in_bfloat16(x.device) if self.settings["bfloat16"] else nullcontext():
            reconstruction, kl = self.model.terms(x, self.generator)
        reconstruction, rate = reconstruction.mean(), kl.sum(1).mean()
        free, clip = self.settings["free_bits"], self.settings["clip"]
        loss = reconstruction + beta * (with_free_bits(kl, free) if free else rate)
        for weight in self.weights:
            weight.grad = None
        loss.backward()
        values = [loss, reconstruction, rate]
        if clip is not None:
            values.append(nn.utils.clip_grad_norm_(self.weights, clip))
        adam_step(self.optimizer)
        if step % LOOK_EVERY == 0:
            forget_tiny_means_(self.optimizer)
        return torch.stack([value.detach() for value in values])

    def schedule(self, step: int) -> tuple[float, float]:
        """The learning rate and the KL's weight at a step."""
        settings = self.settings
        return (
            settings["lr"] * learning_rate(step, self.total, settings["schedule"]),
            settings["beta"] * kl_weight(step, self.total, settings["annealing"]),
        )

    def save(self, path: str | Path) -> None:
        """Save everything."""
        save_checkpoint(path, self.model, self.optimizer, self.generator, self.history, self.settings)

    def restore(self, path: str | Path) -> None:
        """Continue what :meth:`save` saved, if it is a run with the same settings."""
        found = load_checkpoint(path, self.model, self.optimizer, self.generator)
        if found["settings"] != self.settings:
            differences = ", ".join(
                f"{name}={found['settings'].get(name)!r}, not {value!r}"
                for name, value in self.settings.items()
                if found["settings"].get(name) != value
            )
            raise CheckpointError(
                f"{path} was made with {differences}: resume with its settings, or name another file to start afresh"
            )
        self.history = found["history"]


def _check_settings(settings: dict[str, Any], epochs: int, patience: int | None, validation: Images | None) -> None:
    if not settings["images"]:
        raise ValueError("there are no training images")
    for name, value, legal, words in (
        ("epochs", epochs, epochs >= 0, "at least 0"),
        ("batch_size", settings["batch_size"], settings["batch_size"] >= 1, "at least 1"),
        ("lr", settings["lr"], settings["lr"] > 0, "above 0"),
        ("weight_decay", settings["weight_decay"], settings["weight_decay"] >= 0, "at least 0"),
        ("beta", settings["beta"], settings["beta"] >= 0, "at least 0"),
        ("free_bits", settings["free_bits"], settings["free_bits"] >= 0, "at least 0"),
        ("clip", settings["clip"], settings["clip"] is None or settings["clip"] > 0, "above 0"),
        ("patience", patience, patience is None or patience >= 1, "at least 1"),
        ("optimizer", settings["optimizer"], settings["optimizer"] in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
        ("binarize", settings["binarize"], settings["binarize"] in BINARIZE, f"one of {', '.join(BINARIZE)}"),
    ):
        if not legal:
            raise ValueError(f"{name} must be {words}, got {value!r}")
    learning_rate(0, 1, settings["schedule"])
    kl_weight(0, 1, settings["annealing"])
    if patience is not None and not (validation is not None and len(validation)):
        raise ValueError("patience needs validation images, on which it looks for an improvement")


def _check_finite(values: Tensor, epoch: int, first: int) -> None:
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        step, term = bad[0].tolist()
        # The loss is not finite where one of its terms is not: name the term.
        if term == 0 and len(bad) > 1 and bad[1, 0] == step:
            term = bad[1, 1].item()
        name = ("loss", "reconstruction term", "KL term", "gradient")[term]
        raise FloatingPointError(_not_finite(f"epoch {epoch + 1}, step {first + step + 1}: the {name}"))


def _not_finite(what: str) -> str:
    return (
        f"{what} is not finite. Lower the learning rate, clip the gradient, or check that the images are finite and in "
        "[0, 1]. The last checkpoint, if there is one, is intact."
    )


def _since_best(history: History) -> int:
    """Epochs since the lowest validation loss."""
    losses = [record["validation"] for record in history]
    return len(losses) - 1 - losses.index(min(losses))


def _out_of_patience(history: History, patience: int | None) -> bool:
    return patience is not None and len(history) > 0 and _since_best(history) >= patience


def _summary(history: History, epochs: int) -> str:
    if not history:
        return f"epoch 0 of {epochs}"
    last = history[-1]
    text = f"epoch {len(history)} of {epochs}: loss {last['loss']:.2f} nats per image"
    return text + (f", validation {last['validation']:.2f}" if "validation" in last else "")
