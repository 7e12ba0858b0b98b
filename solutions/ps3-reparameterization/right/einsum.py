"""Everything a contraction of indices; gradients by hand where there is a formula."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


def reparameterize(mu, logvar, generator=None):
    noise = torch.empty_like(mu, requires_grad=False).normal_(generator=generator)
    return mu + torch.einsum("bl,bl->bl", torch.exp(0.5 * logvar), noise)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    noise = torch.empty(n_samples, len(mu), dtype=mu.dtype).normal_(generator=generator)
    z = (mu + torch.exp(0.5 * logvar) * noise).detach().requires_grad_()
    slopes = torch.autograd.grad(f(z).sum(), z)[0]
    to_mu = torch.einsum("nd->d", slopes) / n_samples
    half_std = 0.5 * torch.exp(0.5 * logvar)
    return to_mu, torch.einsum("nd,nd,d->d", slopes, noise, half_std) / n_samples


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    noise = torch.empty(n_samples, len(mu), dtype=mu.dtype).normal_(generator=generator)
    values = f(mu + torch.exp(0.5 * logvar) * noise)
    if baseline is not None:
        values = values - torch.as_tensor(baseline, dtype=values.dtype)
    to_mu = torch.einsum("n,nd,d->d", values, noise, torch.exp(-0.5 * logvar))
    to_logvar = torch.einsum("n,nd->d", values, noise**2) - values.sum()
    return to_mu / n_samples, to_logvar / (2 * n_samples)


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits, requires_grad=False).exponential_(generator=generator)
    scores = torch.einsum("bk->bk", logits - e.log()) * (1 / temperature)
    top = scores.max(dim=1, keepdim=True).values.detach()
    weights = (scores - top).exp()
    return torch.einsum("bk,b->bk", weights, 1 / weights.sum(1))


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    noise = torch.empty_like(mu, requires_grad=False).normal_(generator=generator)
    z = torch.einsum("bl,bl->bl", (logvar / 2).exp(), noise) + mu
    misfit = binary_cross_entropy_with_logits(decoder(z), x) * x.shape[1]
    kl = (torch.einsum("bl,bl->", mu, mu) + (logvar.exp() - logvar - 1).sum()) / 2
    loss = misfit + kl / len(x)
    encoder.zero_grad()
    decoder.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach().item()
