"""Double precision inside, whatever comes in, and the caller's precision on the way out."""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    mq, lq, mp, lp = (t.double() for t in (mu_q, logvar_q, mu_p, logvar_p))
    kl = ((mq - mp) ** 2 / lp.exp() + (lq - lp).exp() - 1 - (lq - lp)).sum(1)
    return (kl / 2).to(mu_q.dtype)


def kl_standard_normal(mu, logvar):
    m, v = mu.to(torch.float64), logvar.to(torch.float64)
    return ((m**2 + v.exp() - 1 - v).sum(1) / 2).to(mu.dtype)


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    m, std = mu.double(), (logvar.double() / 2).exp()
    shape = (n_samples, *m.shape)
    z = torch.normal(m.expand(shape), std.expand(shape), generator=generator)
    q = torch.distributions.Normal(m, std)
    p = torch.distributions.Normal(torch.zeros_like(m), torch.ones_like(m))
    ratio = torch.distributions.Independent(q, 1).log_prob(z)
    ratio = ratio - torch.distributions.Independent(p, 1).log_prob(z)
    return ratio.mean(dim=0).to(mu.dtype)
