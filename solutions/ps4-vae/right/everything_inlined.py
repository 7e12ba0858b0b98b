"""No function calls another: each writes the loss out for itself."""

import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    cost = F.binary_cross_entropy_with_logits(logits, x) * x.shape[1]
    q = Normal(mu, torch.exp(logvar / 2))
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), 1.0)).sum(dim=1).mean()
    loss = cost + kl
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach().cpu().numpy().item()


def generate(model, n, generator=None):
    state, training = None, model.training
    if generator is not None:
        state = torch.get_rng_state()
        torch.set_rng_state(generator.get_state())
    z = Normal(0.0, 1.0).sample((n, model.latent_dim))
    if generator is not None:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(state)
    z = z.to(next(model.parameters()).dtype)
    out = model.eval().decoder(z).detach().sigmoid()
    model.train(training)
    return out


def train_model(images, after_epoch=None):
    model = VAE(input_dim=64, hidden_dim=256, latent_dim=16)
    optimizer = torch.optim.Adamax(model.parameters(), lr=5e-3)
    for _ in range(80):
        for x in images[torch.randperm(len(images))].chunk(20):
            logits, mu, logvar = model(x)
            misfit = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            kl = 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum()
            optimizer.zero_grad()
            ((misfit + kl) / len(x)).backward()
            optimizer.step()
        if after_epoch is not None:
            after_epoch(model)
    model.eval()
    return model
