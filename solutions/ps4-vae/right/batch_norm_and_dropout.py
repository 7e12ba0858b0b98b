"""Layers whose mode matters: batch normalisation and dropout, in both networks."""

import torch
from torch import nn
from torch.nn import functional as F


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(input_dim, hidden_dim),
            nn.BatchNorm1d(hidden_dim),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.02),
        )
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.logvar = nn.Linear(hidden_dim, latent_dim)

    def forward(self, x):
        h = self.body(x)
        return self.mu(h), self.logvar(h)


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim),
            nn.BatchNorm1d(hidden_dim),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.02),
            nn.Linear(hidden_dim, output_dim),
        )

    def forward(self, z):
        return self.body(z)


def generate(model, n, generator=None):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    p = next(model.parameters())
    z = torch.randn((n, model.latent_dim), generator=generator, device=p.device, dtype=p.dtype)
    with torch.inference_mode():
        images = model.decoder(z).sigmoid()
    for module, mode in modes:
        module.training = mode
    return images


def interpolate(model, x0, x1, steps):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    a, b = (model.encoder(x[None])[0][0].detach() for x in (x0, x1))
    codes = [a + (b - a) * (k / (steps - 1)) for k in range(steps)]
    images = model.decoder(torch.stack(codes)).detach().sigmoid()
    for module, mode in modes:
        module.training = mode
    return images


def train_model(images, after_epoch=None):
    model = VAE(images.shape[1], 160, 8)
    optimizer = torch.optim.RAdam(model.parameters(), lr=4e-3)
    for epoch in range(90):
        model.train()
        optimizer.param_groups[0]["lr"] = 4e-3 * (1 - epoch / 90)
        order = torch.randperm(len(images))
        for start in range(0, len(images) - 1, 96):
            train_step(model, optimizer, images[order[start : start + 96]])
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    misfit = -(x * log_p + (1 - x) * log_not_p).sum(dim=1)
    kl = (torch.exp(logvar) + mu.square() - logvar - 1).sum(dim=1).div(2)
    return torch.mean(misfit + beta * kl, dim=0)
