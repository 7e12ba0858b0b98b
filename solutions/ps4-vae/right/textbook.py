"""Three linear layers here, two there, and every formula as the pages print it."""

import torch
from torch import nn
from torch.nn import functional as F


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.fc1 = nn.Linear(input_dim, hidden_dim)
        self.fc_mu = nn.Linear(hidden_dim, latent_dim)
        self.fc_logvar = nn.Linear(hidden_dim, latent_dim)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        return self.fc_mu(h), self.fc_logvar(h)


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.fc1 = nn.Linear(latent_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, output_dim)

    def forward(self, z):
        return self.fc2(F.relu(self.fc1(z)))


class VAE(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(input_dim, hidden_dim, latent_dim)
        self.decoder = Decoder(latent_dim, hidden_dim, input_dim)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def forward(self, x):
        mu, logvar = self.encoder(x)
        z = self.reparameterize(mu, logvar)
        return self.decoder(z), mu, logvar


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + beta * kld) / x.shape[0]


def train_step(model, optimizer, x):
    model.train()
    optimizer.zero_grad()
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def generate(model, n, generator=None):
    was_training = model.training
    model.eval()
    dtype = next(model.parameters()).dtype
    z = torch.randn(n, model.latent_dim, generator=generator, dtype=dtype)
    probs = torch.sigmoid(model.decoder(z))
    model.train(was_training)
    return probs


@torch.no_grad()
def interpolate(model, x0, x1, steps):
    was_training = model.training
    model.eval()
    mu0, _ = model.encoder(x0.unsqueeze(0))
    mu1, _ = model.encoder(x1.unsqueeze(0))
    t = torch.linspace(0, 1, steps).unsqueeze(1)
    z = (1 - t) * mu0 + t * mu1
    probs = torch.sigmoid(model.decoder(z.to(x0.dtype)))
    model.train(was_training)
    return probs


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(images, batch_size=32, shuffle=True)
    for _ in range(60):
        model.train()
        for x in loader:
            train_step(model, optimizer, x)
        if after_epoch is not None:
            after_epoch(model)
    model.eval()
    return model
