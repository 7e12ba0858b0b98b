"""Plain Python loops over images, pixels and codes: slow, and right."""

import torch
from torch.nn import functional as F


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    total = 0.0
    for a, pixels, m, v in zip(logits, x, mu, logvar, strict=True):
        total = total + F.binary_cross_entropy_with_logits(a, pixels, reduction="sum")
        total = total + beta * 0.5 * (m**2 + v.exp() - 1 - v).sum()
    return total / len(x)


def generate(model, n, generator=None):
    mode, kind = model.training, next(model.parameters()).dtype
    model.train(False)
    rows = []
    with torch.no_grad():
        for _ in range(n):
            z = torch.randn(1, model.latent_dim, generator=generator, dtype=kind)
            rows.append(1 / (1 + torch.exp(-model.decoder(z)[0])))
    model.train(mode)
    return torch.stack(rows)


def interpolate(model, x0, x1, steps):
    mode = model.training
    model.train(False)
    rows = []
    with torch.no_grad():
        first, last = (model.encoder(x.reshape(1, -1))[0] for x in (x0, x1))
        for k in range(steps):
            t = k / (steps - 1)
            rows.append(torch.sigmoid(model.decoder(first * (1 - t) + last * t))[0])
    model.train(mode)
    return torch.stack(rows)


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(70):
        order, start = torch.randperm(len(images)).tolist(), 0
        while start < len(order):
            x = torch.stack([images[k] for k in order[start : start + 64]])
            logits, mu, logvar = model(x)
            loss = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
            loss = loss + 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
            adam.zero_grad()
            loss.mean().backward()
            adam.step()
            start += 64
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
