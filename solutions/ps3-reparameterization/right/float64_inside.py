"""Everything in double precision, cast back at the end."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    z = mu.double() + torch.exp(0.5 * logvar.double()) * noise
    return z.to(mu.dtype)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m = mu.detach().to(torch.float64, copy=True).requires_grad_()
    v = logvar.detach().to(torch.float64, copy=True).requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=torch.float64)
    grads = torch.autograd.grad(f(m + torch.exp(0.5 * v) * noise).mean(), (m, v))
    return tuple(g.to(mu.dtype) for g in grads)


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    m, std = mu.double(), torch.exp(0.5 * logvar.double())
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=torch.float64)
    values = f(m + std * noise).double()
    if baseline is not None:
        values = values - float(baseline)
    to_mu = (values[:, None] * noise).mean(0) / std
    to_logvar = (values[:, None] * (noise**2 - 1)).mean(0) / 2
    return to_mu.to(mu.dtype), to_logvar.to(mu.dtype)


def gumbel_softmax_sample(logits, temperature, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    gumbel = -(-(u + 1e-300).log()).log()
    y = torch.softmax((logits.double() + gumbel) / temperature, dim=1)
    return y.to(logits.dtype)


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    noise = torch.randn(mu.shape, generator=generator)
    z = mu + torch.exp(0.5 * logvar) * noise.to(mu.dtype)
    logits = decoder(z).double()
    m, v = mu.double(), logvar.double()
    misfit = binary_cross_entropy_with_logits(logits, x.double(), reduction="none")
    kl = -0.5 * (1 + v - m.pow(2) - v.exp())
    loss = torch.mean(misfit.sum(-1) + kl.sum(-1))
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    return loss.item()
