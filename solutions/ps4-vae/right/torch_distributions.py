"""torch.distributions for every density, nn.Sequential with GELU, one chunked head, AdamW."""

import contextlib

import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence


@contextlib.contextmanager
def evaluating(model):
    found = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(found)


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        layers = [nn.Linear(input_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, 2 * latent_dim)]
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x).chunk(2, dim=-1)


class Decoder(nn.Sequential):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__(nn.Linear(latent_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, output_dim))


class VAE(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(input_dim, hidden_dim, latent_dim)
        self.decoder = Decoder(latent_dim, hidden_dim, input_dim)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        q = Independent(Normal(mu, logvar.mul(0.5).exp()), 1)
        return self.decoder(q.rsample()), mu, logvar


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    p = Independent(Bernoulli(logits=logits, validate_args=False), 1, validate_args=False)
    q = Normal(mu, (logvar / 2).exp())
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = kl_divergence(q, prior).sum(-1)
    return -(p.log_prob(x) - beta * kl).mean()


def train_step(model, optimizer, x):
    loss = negative_elbo(*(out := model(x))[:1], x, *out[1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def generate(model, n, generator=None):
    some = next(model.parameters())
    z = torch.empty(n, model.latent_dim, dtype=some.dtype).normal_(generator=generator)
    with evaluating(model):
        return Bernoulli(logits=model.decoder(z)).mean


def interpolate(model, x0, x1, steps):
    with evaluating(model):
        (start, end), _ = model.encoder(torch.stack([x0, x1]))
        weights = torch.linspace(0, 1, steps, dtype=x0.dtype)
        z = torch.stack([torch.lerp(start, end, w) for w in weights])
        return Bernoulli(logits=model.decoder(z)).probs


def train_model(images, after_epoch=None):
    model = VAE(64, 200, 12)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    epochs = 70
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for x in images[torch.randperm(len(images))].split(100):
            train_step(model, optimizer, x)
        schedule.step()
        if after_epoch:
            after_epoch(model)
    return model.eval()
