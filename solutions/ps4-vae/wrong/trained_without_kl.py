"""An autoencoder: the KL is left out.

Loses: train-model-visible, train-model-hidden
"""

import torch


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(images)).split(128):
            x = images[rows]
            logits, mu, logvar = model(x)
            loss = negative_elbo(logits, x, mu, logvar, beta=0.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
