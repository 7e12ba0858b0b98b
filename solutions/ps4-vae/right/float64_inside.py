"""The loss and the walk in double precision, cast back at the end; a closure for the optimizer."""

import torch
from torch import nn
from torch.nn import functional as F


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, hidden_dim)
        self.second = nn.Linear(hidden_dim, hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.raw = nn.Linear(hidden_dim, latent_dim)

    def forward(self, x):
        h = F.silu(self.first(2 * x - 1))
        h = self.norm(h + F.silu(self.second(h)))
        return self.mu(h), torch.log(F.softplus(self.raw(h)) + 1e-8)


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(latent_dim, hidden_dim)
        self.second = nn.Linear(hidden_dim, hidden_dim)
        self.third = nn.Linear(hidden_dim, output_dim)

    def forward(self, z):
        h = F.elu(self.first(z))
        h = h + F.elu(self.second(h))
        return self.third(h)


class VAE(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(input_dim, hidden_dim, latent_dim)
        self.decoder = Decoder(latent_dim, hidden_dim, input_dim)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        noise = torch.randn(mu.shape, dtype=torch.float64, device=mu.device)
        z = mu.double() + torch.exp(0.5 * logvar.double()) * noise
        return self.decoder(z.to(mu.dtype)), mu, logvar


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    a, y, m, v = (t.double() for t in (logits, x, mu, logvar))
    misfit = F.binary_cross_entropy_with_logits(a, y, reduction="none").sum(1)
    kl = -0.5 * (1 + v - m**2 - v.exp()).sum(1)
    return (misfit + beta * kl).mean().to(logits.dtype)


def train_step(model, optimizer, x):
    def closure():
        optimizer.zero_grad()
        logits, mu, logvar = model(x)
        loss = negative_elbo(logits, x, mu, logvar)
        loss.backward()
        return loss

    return float(optimizer.step(closure))


def interpolate(model, x0, x1, steps):
    mode = model.training
    model.eval()
    with torch.no_grad():
        ends = model.encoder(torch.stack([x0, x1]))[0].double()
        t = torch.arange(steps, dtype=torch.float64).div(steps - 1)
        z = torch.stack([1 - t, t], dim=1) @ ends
        out = model.decoder(z.to(x0.dtype)).double().sigmoid().to(x0.dtype)
    model.train(mode)
    return out


def train_model(images, after_epoch=None):
    model = VAE(64, 64, 8)
    optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
    for _ in range(60):
        for x in torch.utils.data.DataLoader(images, 64, shuffle=True):
            train_step(model, optimizer, x)
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
