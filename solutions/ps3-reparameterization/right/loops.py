"""Plain Python loops over rows, samples and dimensions: slow, and right."""

import math

import torch


def reparameterize(mu, logvar, generator=None):
    rows = []
    for m, v in zip(mu, logvar, strict=True):
        e = torch.randn(len(m), generator=generator, dtype=m.dtype)
        rows.append(m + torch.sqrt(torch.exp(v)) * e)
    return torch.stack(rows)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    to_mu, to_logvar = torch.zeros_like(mu), torch.zeros_like(logvar)
    for _ in range(n_samples):
        m = mu.clone().requires_grad_()
        v = logvar.clone().requires_grad_()
        e = torch.randn(len(m), generator=generator, dtype=m.dtype)
        z = m + torch.exp(v / 2) * e
        f(z.unsqueeze(0)).sum().backward()
        to_mu += m.grad / n_samples
        to_logvar += v.grad / n_samples
    return to_mu, to_logvar


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    to_mu, to_logvar = torch.zeros_like(mu), torch.zeros_like(logvar)
    var = torch.exp(logvar)
    for _ in range(n_samples):
        e = torch.randn(len(mu), generator=generator, dtype=mu.dtype)
        z = mu + var.sqrt() * e
        value = f(z.unsqueeze(0))[0]
        if baseline is not None:
            value = value - baseline
        to_mu = to_mu + value * (z - mu) / var
        to_logvar = to_logvar + value * ((z - mu) ** 2 / (2 * var) - 0.5)
    return to_mu / n_samples, to_logvar / n_samples


def gumbel_softmax_sample(logits, temperature, generator=None):
    rows = []
    for row in logits:
        u = torch.rand(len(row), generator=generator, dtype=row.dtype)
        g = -torch.log(-torch.log(u.clamp(min=1e-30)))
        scores = (row + g) / temperature
        rows.append(torch.exp(scores - torch.logsumexp(scores, 0)))
    return torch.stack(rows)


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    z = torch.stack(
        [
            m + torch.exp(v / 2) * torch.randn(len(m), generator=generator, dtype=m.dtype)
            for m, v in zip(mu, logvar, strict=True)
        ]
    )
    logits = decoder(z)
    total = 0.0
    for i in range(len(x)):
        p = torch.sigmoid(logits[i])
        total = total - (x[i] * torch.log(p) + (1 - x[i]) * torch.log(1 - p)).sum()
        total = total + (mu[i] ** 2 + torch.exp(logvar[i]) - 1 - logvar[i]).sum() / 2
    loss = total / len(x)
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        parameter.grad = None
    loss.backward()
    optimizer.step()
    assert math.isfinite(loss)
    return float(loss.detach())
