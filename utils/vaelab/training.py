"""Training: one loop, its history, and checkpoints from which it resumes to the same bits."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .data import Images
from .evaluation import evaluate
from .models import VAE
from .objectives import bernoulli_nll, kl_standard_normal
from .progress import Progress

__all__ = ["CheckpointError", "fit", "load_checkpoint", "save_checkpoint"]

FORMAT = "vaelab checkpoint 1"
History = list[dict[str, float]]


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, foreign or does not fit; the message names the file and the remedy."""


def fit(
    model: VAE,
    train: Images,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    beta: float = 1.0,
    binarize: bool = False,
    validation: Images | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Maximise the ELBO with Adam.

    One generator, seeded with ``seed``, draws everything: the order of the images, their binarization and the noise.
    After each epoch the weights, the optimizer's state, the history and the generator's state are saved, so that a run
    that was killed at any moment and resumed ends with the same bits as one that was not.

    Arguments:
        model: The model, on any device.
        train: The training images.
        epochs: Passes over ``train``, those of a resumed run included.
        batch_size: Images per step.
        lr: Adam's learning rate.
        beta: Weight of the KL; 1 gives the ELBO.
        binarize: Draw every pixel afresh in every epoch.
        validation: Images whose negative ELBO is recorded after each epoch.
        seed: Seed of the generator.
        checkpoint: File to save after each epoch.
        resume: Continue from ``checkpoint`` if it exists.
        progress: Show a bar (on stdout, never on stderr).

    Returns:
        One record per epoch: the means over its images of ``loss``, ``reconstruction`` and ``kl`` (nats per image), the
        ``seconds`` it took and, with ``validation``, its ``validation`` loss.

    Raises:
        CheckpointError: If ``checkpoint`` exists and ``resume`` is false, or it is of other settings or another model.
        FloatingPointError: If a term of the loss is not finite; the last checkpoint is kept.
        ValueError: If ``train`` is empty, or a setting is out of its range.
    """
    if not len(train):
        raise ValueError("there are no training images")
    if epochs < 0 or batch_size < 1 or not lr > 0 or beta < 0:
        raise ValueError(
            f"need epochs >= 0, batch_size >= 1, lr > 0 and beta >= 0, got {epochs}, {batch_size}, {lr} and {beta}"
        )
    settings = {
        "images": len(train),
        "batch_size": batch_size,
        "lr": lr,
        "beta": beta,
        "binarize": binarize,
        "seed": seed,
    }
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    generator = torch.Generator().manual_seed(seed)
    history: History = []
    if checkpoint is not None and Path(checkpoint).exists():
        if not resume:
            raise CheckpointError(
                f"{checkpoint} exists: pass resume=True to continue it, or name another file to start afresh"
            )
        found = load_checkpoint(checkpoint, model, optimizer, generator)
        if found["settings"] != settings:
            raise CheckpointError(
                f"{checkpoint} was made with {found['settings']}, not with {settings}: "
                "resume with its settings, or name another file to start afresh"
            )
        history = found["history"]

    model.train()
    bar = Progress(epochs * math.ceil(len(train) / batch_size), shown=progress)
    bar.update(len(history) * math.ceil(len(train) / batch_size), _summary(history, epochs))
    for _ in range(len(history), epochs):
        start = time.perf_counter()
        terms = []
        for x, _ in train.batches(batch_size, generator, shuffle=True, binarize=binarize):
            x = x.to(device)
            logits, mu, logvar = model(x, generator)
            reconstruction, kl = bernoulli_nll(logits, x), kl_standard_normal(mu, logvar)
            optimizer.zero_grad()
            (reconstruction + beta * kl).mean().backward()
            optimizer.step()
            # No .item() here: on an accelerator it would wait for every step.
            terms.append(torch.stack([reconstruction.detach().sum(), kl.detach().sum()]))
            bar.advance()
        steps = torch.stack(terms).cpu()
        _check_finite(steps, len(history))
        mean_reconstruction, mean_kl = (steps.sum(0, dtype=torch.float64) / len(train)).tolist()
        record = {
            "loss": mean_reconstruction + beta * mean_kl,
            "reconstruction": mean_reconstruction,
            "kl": mean_kl,
            "seconds": time.perf_counter() - start,
        }
        if validation is not None:
            record["validation"] = evaluate(model, validation)["loss"]
        history.append(record)
        if checkpoint is not None:
            save_checkpoint(checkpoint, model, optimizer, generator, history, settings)
        bar.show(_summary(history, epochs))
    bar.close()
    return history


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
    history: History | None = None,
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
        "history": history or [],
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
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path} belongs to another model: build the model with the sizes it was trained with ({error})"
        ) from error
    return state


def _check_finite(steps: Tensor, epoch: int) -> None:
    bad = (~steps.isfinite()).nonzero()
    if len(bad):
        step, term = bad[0].tolist()
        raise FloatingPointError(
            f"epoch {epoch + 1}, step {step + 1}: the {('reconstruction', 'KL')[term]} term is not finite. Lower the "
            "learning rate, or check that the images are finite and in [0, 1]. The last checkpoint is intact."
        )


def _summary(history: History, epochs: int) -> str:
    if not history:
        return f"epoch 0 of {epochs}"
    last = history[-1]
    text = f"epoch {len(history)} of {epochs}: loss {last['loss']:.2f} nats per image"
    return text + (f", validation {last['validation']:.2f}" if "validation" in last else "")
