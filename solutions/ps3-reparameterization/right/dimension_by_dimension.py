"""Noise drawn for one dimension after the other, normals by Box and Muller."""

import math

import torch
from torch.nn.functional import logsigmoid


def box_muller(n, d, like, generator):
    columns = []
    for _ in range(d):
        u = 1 - torch.rand(n, generator=generator, dtype=torch.float64)
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        columns.append(torch.sqrt(-2 * torch.log(u)) * torch.cos(angle))
    return torch.stack(columns, dim=1).to(like.dtype)


def reparameterize(mu, logvar, generator=None):
    return mu + torch.exp(logvar).sqrt() * box_muller(*mu.shape, mu, generator)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    e = box_muller(n_samples, len(mu), mu, generator)
    both = torch.stack([mu, logvar]).requires_grad_()
    average = f(both[0] + torch.exp(both[1] / 2) * e).sum() / n_samples
    (slopes,) = torch.autograd.grad(average, both)
    return slopes[0], slopes[1]


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    baseline = 0.0 if baseline is None else baseline
    e = box_muller(n_samples, len(mu), mu, generator)
    weights = (f(mu + torch.exp(logvar / 2) * e) - baseline) / n_samples
    return torch.exp(-logvar / 2) * (e.T @ weights), (e.T**2 - 1) @ weights / 2


def gumbel_softmax_sample(logits, temperature, generator=None):
    columns = []
    for _ in range(logits.shape[1]):
        u = 1 - torch.rand(logits.shape[0], generator=generator, dtype=torch.float64)
        columns.append(-torch.log(-torch.log(u.clamp(1e-300, 1 - 1e-16))))
    gumbel = torch.stack(columns, dim=1).to(logits.dtype)
    return torch.nn.Softmax(dim=1)(torch.div(logits + gumbel, temperature))


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    z = mu + torch.exp(logvar / 2) * box_muller(*mu.shape, mu, generator)
    logits = decoder(z)
    log_likelihood = x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)
    entropy = 0.5 * (1 + math.log(2 * math.pi) + logvar).sum(1)
    cross = -0.5 * (math.log(2 * math.pi) + mu**2 + logvar.exp()).sum(1)
    elbo = (log_likelihood.sum(1) + entropy + cross).mean()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for p, g in zip(parameters, torch.autograd.grad(-elbo, parameters), strict=True):
        p.grad = g
    optimizer.step()
    return -elbo.item()
