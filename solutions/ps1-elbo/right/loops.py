"""Plain Python loops over rows and samples: slow, and right."""

import math

import torch

LOG_2PI = math.log(2 * math.pi)


def log_evidence(x, W, b, s):
    covariance = W @ W.T + s * s * torch.eye(len(b), dtype=x.dtype)
    rows = []
    for row in x:
        away = row - b
        quadratic = away.dot(torch.linalg.solve(covariance, away))
        rows.append(-0.5 * (len(b) * LOG_2PI + torch.logdet(covariance) + quadratic))
    return torch.stack(rows)


def posterior(x, W, b, s):
    latent = W.shape[1]
    precision = torch.eye(latent, dtype=x.dtype)
    for weights in W:
        precision = precision + torch.outer(weights, weights) / s**2
    means = []
    for row in x:
        pull = sum((row[i] - b[i]) * W[i] for i in range(len(b))) / s**2
        means.append(torch.linalg.solve(precision, pull))
    return torch.stack(means), torch.linalg.inv(precision)


def one_log_weight(x, m, v, W, b, s, generator):
    e = torch.randn(len(m), generator=generator, dtype=m.dtype)
    z = m + torch.exp(v / 2) * e
    log_q = -0.5 * (LOG_2PI + v + e**2)
    log_p = -0.5 * (LOG_2PI + z**2)
    fit = -0.5 * (LOG_2PI + 2 * math.log(s) + ((x - W @ z - b) / s) ** 2)
    return fit.sum() + (log_p - log_q).sum()


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    rows = []
    for row, m, v in zip(x, mu, logvar, strict=True):
        draws = [one_log_weight(row, m, v, W, b, s, generator) for _ in range(n_samples)]
        rows.append(sum(draws) / n_samples)
    return torch.stack(rows)


def elbo_gap(x, mu, logvar, W, b, s):
    precision = torch.eye(W.shape[1], dtype=x.dtype) + W.T @ W / s**2
    rows = []
    for row, m, v in zip(x, mu, logvar, strict=True):
        away = m - torch.linalg.solve(precision, W.T @ (row - b) / s**2)
        total = away @ precision @ away - torch.logdet(precision)
        for j in range(len(m)):
            total = total + precision[j, j] * v[j].exp() - v[j] - 1.0
        rows.append(total / 2)
    return torch.stack(rows)


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    rows = []
    for row, m, v in zip(x, mu, logvar, strict=True):
        draws = [one_log_weight(row, m, v, W, b, s, generator) for _ in range(k)]
        top = max(draws)
        rows.append(top + torch.log(sum(torch.exp(w - top) for w in draws) / k))
    return torch.stack(rows)
