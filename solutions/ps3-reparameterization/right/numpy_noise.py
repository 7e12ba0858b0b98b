"""NumPy's generators draw the noise, seeded by the given one, and PyTorch does the rest."""

import numpy as np
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence


def numpy_generator(generator):
    if generator is None:
        return np.random.default_rng()
    return np.random.default_rng(torch.randint(2**62, (1,), generator=generator).item())


def reparameterize(mu, logvar, generator=None):
    e = numpy_generator(generator).standard_normal(tuple(mu.shape))
    return mu + torch.exp(logvar / 2) * torch.from_numpy(e).to(mu)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    e = numpy_generator(generator).standard_normal((n_samples, len(mu)))
    parameters = torch.cat([mu, logvar]).requires_grad_()
    m, v = parameters.chunk(2)
    f(m + torch.exp(v / 2) * torch.from_numpy(e).to(mu)).mean().backward()
    return list(parameters.grad.chunk(2))


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    e = numpy_generator(generator).standard_normal((n_samples, len(mu)))
    e = torch.from_numpy(e).to(mu)
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    z = m + torch.exp(v / 2) * e
    reward = f(z).detach()
    if baseline is not None:
        reward = reward - baseline
    log_q = Normal(m, torch.exp(v / 2)).log_prob(z.detach()).sum(1)
    (reward * log_q).mean().backward()
    return m.grad, v.grad


def gumbel_softmax_sample(logits, temperature, generator=None):
    g = numpy_generator(generator).gumbel(size=tuple(logits.shape))
    return (logits + torch.from_numpy(g).to(logits)).div(temperature).softmax(1)


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    q = Normal(mu, (logvar / 2).exp())
    e = numpy_generator(generator).standard_normal(tuple(q.loc.shape))
    z = q.loc + q.scale * torch.from_numpy(e).to(x)
    elbo = Bernoulli(logits=decoder(z)).log_prob(x).sum(1)
    elbo = (elbo - kl_divergence(q, Normal(0.0, 1.0)).sum(1)).mean()
    optimizer.zero_grad()
    elbo.neg().backward()
    optimizer.step()
    return elbo.neg().detach().numpy().item()
