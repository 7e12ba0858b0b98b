"""torch.distributions throughout: the global generator is put in the given one's state, and back."""

import contextlib

import torch
from torch.distributions import Bernoulli, Gumbel, Independent, Normal, kl_divergence


@contextlib.contextmanager
def randomness_from(generator):
    if generator is None:
        yield
        return
    kept = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(kept)


def reparameterize(mu, logvar, generator=None):
    with randomness_from(generator):
        return Normal(mu, logvar.exp().sqrt()).rsample()


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = (t.detach().clone().requires_grad_() for t in (mu, logvar))
    with randomness_from(generator):
        z = Normal(m, v.exp().sqrt()).rsample((n_samples,))
    return torch.autograd.grad(f(z).mean(), (m, v))


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    m, v = (t.detach().clone().requires_grad_() for t in (mu, logvar))
    q = Independent(Normal(m, (v / 2).exp()), 1)
    with randomness_from(generator):
        z = q.sample((n_samples,))
    reward = f(z).detach() - (0.0 if baseline is None else baseline)
    return torch.autograd.grad((reward * q.log_prob(z)).mean(), (m, v))


def gumbel_softmax_sample(logits, temperature, generator=None):
    zero = torch.zeros_like(logits)
    with randomness_from(generator):
        noise = Gumbel(zero, zero + 1).sample()
    return torch.nn.functional.softmax((logits + noise) / temperature, dim=1)


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    q = Independent(Normal(mu, (logvar / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    with randomness_from(generator):
        z = q.rsample()
    likelihood = Independent(Bernoulli(logits=decoder(z)), 1)
    elbo = likelihood.log_prob(x) - kl_divergence(q, prior)
    optimizer.zero_grad()
    (-elbo.mean()).backward()
    optimizer.step()
    return -elbo.mean().item()
