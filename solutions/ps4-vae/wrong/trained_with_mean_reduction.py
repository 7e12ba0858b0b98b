"""A loss of its own that averages over pixels: beta is 64.

Loses: train-model-visible, train-model-hidden
"""

import torch
from torch.nn import functional as F


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(images)).split(128):
            x = images[rows]
            logits, mu, logvar = model(x)
            kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
            loss = F.binary_cross_entropy_with_logits(logits, x) + kl
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
