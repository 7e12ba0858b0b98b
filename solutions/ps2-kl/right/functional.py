"""One row at a time, mapped over the batch; the global generator as the default."""

import torch


def kl_standard_normal(mu, logvar):
    def row(m, v):
        return 0.5 * (torch.dot(m, m) + torch.expm1(v).sum() - v.sum())

    return torch.vmap(row)(mu, logvar)


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    if generator is None:
        generator = torch.default_generator
    rows = []
    for m, v in zip(mu.unbind(0), logvar.unbind(0), strict=True):
        shape = (n_samples, m.numel())
        e = torch.randn(shape, generator=generator, dtype=mu.dtype)
        z = torch.addcmul(m, e, torch.sqrt(v.exp()))
        rows.append(0.5 * ((z * z).sum(1) - (e * e + v).sum(1)).mean())
    return torch.stack(rows)


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    if not {reconstruction_reduction, kl_reduction} <= {"sum", "mean"}:
        raise ValueError("reductions are 'sum' or 'mean'")
    beta = 1.0
    if reconstruction_reduction == "mean":
        beta *= n_pixels
    if kl_reduction == "mean":
        beta /= n_latent
    return beta
