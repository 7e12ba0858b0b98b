"""Measuring a trained model on images it has not seen."""

from __future__ import annotations

import math

import torch

from .data import Images
from .models import VAE

__all__ = ["evaluate"]


def evaluate(model: VAE, images: Images, batch_size: int = 1_000, seed: int = 0) -> dict[str, float]:
    """The negative ELBO of unseen images, with one sample of z per image.

    Arguments:
        model: The model; it is put into evaluation mode and back.
        images: The images.
        batch_size: Images at a time. The noise is drawn batch by batch, so that it is part of what is repeated.
        seed: Seed of the noise.

    Returns:
        ``loss``, ``reconstruction`` and ``kl`` in nats per image, and ``standard_error``, that of ``loss``, from the
        choice of images and of noise together.

    Raises:
        ValueError: If there are no images.
    """
    if not len(images):
        raise ValueError("there are no images to evaluate on")
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    reconstruction, kl = [], []
    with model.evaluating():
        for x, _ in images.batches(batch_size):
            x = x.to(device)
            of_batch, kl_of_batch = model.terms(x, generator)
            reconstruction.append(of_batch)
            kl.append(kl_of_batch.sum(1))
    terms = torch.stack([torch.cat(reconstruction), torch.cat(kl)]).cpu().double()
    loss = terms.sum(0)
    return {
        "loss": loss.mean().item(),
        "reconstruction": terms[0].mean().item(),
        "kl": terms[1].mean().item(),
        "standard_error": (loss.std() / math.sqrt(len(loss))).item(),
    }
