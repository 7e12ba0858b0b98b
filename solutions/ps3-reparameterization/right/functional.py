"""torch.func instead of backward; noise by inverting the distribution function."""

import torch
from torch.func import grad
from torch.nn.functional import softplus


def normals(shape, like, generator):
    u = torch.rand(shape, generator=generator, dtype=torch.float64)
    return torch.special.ndtri(u.clamp(1e-300, 1 - 1e-16)).to(like.dtype)


def reparameterize(mu, logvar, generator=None):
    return torch.exp(logvar / 2).mul(normals(mu.shape, mu, generator)).add(mu)


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    e = normals((n_samples, len(mu)), mu, generator)

    def average(m, v):
        return f(m + torch.exp(v / 2) * e).mean()

    return grad(average, argnums=(0, 1))(mu, logvar)


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    e = normals((n_samples, len(mu)), mu, generator)
    z = mu + torch.exp(logvar / 2) * e
    reward = f(z).detach()
    reward = reward if baseline is None else reward - baseline

    def surrogate(m, v):
        log_q = -0.5 * (v + (z - m) ** 2 * torch.exp(-v)).sum(1)
        return torch.dot(reward, log_q) / n_samples

    return grad(surrogate, argnums=(0, 1))(mu, logvar)


def gumbel_softmax_sample(logits, temperature, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    e = -torch.log1p(-u.clamp(1e-300, 1 - 1e-16))
    scores = (logits - torch.log(e).to(logits.dtype)) / temperature
    return torch.log_softmax(scores, dim=1).exp()


def train_step(encoder, decoder, optimizer, x, generator=None):
    def loss_at():
        optimizer.zero_grad()
        mu, logvar = encoder(x)
        z = mu + torch.exp(logvar / 2) * normals(mu.shape, mu, generator)
        logits = decoder(z)
        misfit = softplus(torch.where(x > 0.5, -logits, logits)).sum()
        kl = 0.5 * (mu.square() + torch.expm1(logvar) - logvar).sum()
        loss = (misfit + kl) / x.shape[0]
        loss.backward()
        return loss

    return optimizer.step(loss_at).item()
