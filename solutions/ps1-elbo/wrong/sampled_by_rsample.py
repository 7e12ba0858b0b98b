""" "q.rsample does it all": but it takes no generator.

Loses: elbo-visible, elbo-hidden
"""

import torch
from torch.distributions import Normal


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    q = Normal(mu, torch.exp(0.5 * logvar))
    z = q.rsample((n_samples,))
    fit = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (fit + prior - q.log_prob(z).sum(-1)).mean(0)
