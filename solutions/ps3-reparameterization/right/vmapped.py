"""Per-sample gradients with torch.func.vmap, and averages of them afterwards."""

import torch
from torch.distributions import Gumbel
from torch.func import grad, vmap
from torch.nn.functional import binary_cross_entropy_with_logits


def reparameterize(mu, logvar, generator=None):
    scale = torch.diag_embed((logvar / 2).exp())
    e = torch.randn(*mu.shape, 1, generator=generator, dtype=mu.dtype)
    return mu + (scale @ e).squeeze(-1)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    e = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)

    def one(m, v, e):
        return f((m + torch.exp(v / 2) * e)[None])[0]

    slopes = vmap(grad(one, argnums=(0, 1)), in_dims=(None, None, 0))
    to_mu, to_logvar = slopes(mu, logvar, e)
    return to_mu.mean(0), to_logvar.mean(0)


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    e = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(logvar / 2) * e

    def log_q(m, v, z):
        return -(v / 2 + (z - m) ** 2 / (2 * v.exp())).sum()

    scores = vmap(grad(log_q, argnums=(0, 1)), in_dims=(None, None, 0))
    reward = (f(z) - (baseline or 0.0)).unsqueeze(1)
    to_mu, to_logvar = scores(mu, logvar, z)
    return (reward * to_mu).mean(0), (reward * to_logvar).mean(0)


def gumbel_softmax_sample(logits, temperature, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    noise = Gumbel(0.0, 1.0).icdf(u.clamp(1e-12, 1 - 1e-12)).to(logits.dtype)
    scores = (logits + noise) / temperature
    return (scores - scores.logsumexp(1, keepdim=True)).exp()


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    e = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    logits = decoder(mu + torch.sqrt(logvar.exp()) * e)

    def cost(logits, x, m, v):
        misfit = binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return misfit - (1 + v - m**2 - v.exp()).sum() / 2

    loss = vmap(cost)(logits, x, mu, logvar).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
