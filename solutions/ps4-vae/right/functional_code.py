"""Weights as bare parameters, matrix products by hand, gradients by autograd.grad."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def weight(rows, columns):
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns))


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.w, self.b = weight(hidden_dim, input_dim), nn.Parameter(torch.zeros(hidden_dim))
        self.v = nn.ParameterList([weight(latent_dim, hidden_dim) for _ in range(2)])
        self.c = nn.ParameterList([nn.Parameter(torch.zeros(latent_dim)) for _ in range(2)])

    def forward(self, x):
        h = torch.tanh(torch.einsum("bi,hi->bh", x, self.w) + self.b)
        return tuple(F.linear(h, v, c) for v, c in zip(self.v, self.c, strict=True))


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.w, self.b = weight(hidden_dim, latent_dim), nn.Parameter(torch.zeros(hidden_dim))
        self.v, self.c = weight(output_dim, hidden_dim), nn.Parameter(torch.zeros(output_dim))

    def forward(self, z):
        return torch.tanh(z @ self.w.T + self.b) @ self.v.T + self.c


class VAE(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(input_dim, hidden_dim, latent_dim)
        self.decoder = Decoder(latent_dim, hidden_dim, input_dim)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        if not self.training:
            return self.decoder(mu), mu, logvar
        noise = torch.empty_like(mu, requires_grad=False).normal_()
        return self.decoder(mu + noise * logvar.exp().sqrt()), mu, logvar


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    total = F.softplus(logits).sum() - torch.einsum("bp,bp->", x, logits)
    kl = torch.einsum("bl,bl->", mu, mu) + torch.sum(logvar.exp() - logvar) - mu.numel()
    return (total + beta * kl / 2) / len(x)


def train_step(model, optimizer, x):
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar, 1.0)
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = g
    optimizer.step()
    return loss.tolist()


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.99))
    for _ in range(80):
        for rows in torch.randint(len(images), (len(images) // 64, 64)):
            train_step(model, adam, images[rows])
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
