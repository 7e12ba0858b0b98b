"""log-variances that start at a constant, a bias at the mean image, KL annealing, clipping, early stopping."""

import copy

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(input_dim, hidden_dim), nn.Linear(hidden_dim, hidden_dim)])
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.logvar = nn.Linear(hidden_dim, latent_dim)
        nn.init.zeros_(self.logvar.weight)
        nn.init.constant_(self.logvar.bias, -1.0)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.mu(x), self.logvar(x)


def train_model(images, after_epoch=None):
    order = torch.randperm(len(images))
    held_out, used = images[order[:100]], images[order[100:]]
    model = VAE(64, 128, 8)
    start = torch.logit(used.mean(0).clamp(1e-2, 1 - 1e-2))
    last = [m for m in model.decoder.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    best, kept, patience = float("inf"), None, 0
    for epoch in range(150):
        model.train()
        for x in used[torch.randperm(len(used))].split(64):
            logits, mu, logvar = model(x)
            loss = negative_elbo(logits, x, mu, logvar, beta=min(1.0, (epoch + 1) / 10))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 50.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            x = held_out.repeat(5, 1)
            logits, mu, logvar = model(x)
            value = negative_elbo(logits, x, mu, logvar).item()
        if epoch > 10 and value < best:
            best, kept, patience = value, copy.deepcopy(model.state_dict()), 0
        patience += 1
        if after_epoch is not None:
            after_epoch(model)
        if patience > 25:
            break
    model.load_state_dict(kept)
    return model
