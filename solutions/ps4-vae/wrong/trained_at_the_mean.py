"""Decodes mu in training, with the KL of the draw that is not made.

Loses: train-model-visible, train-model-hidden
"""

import torch


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(images)).split(128):
            x = images[rows]
            mu, logvar = model.encoder(x)
            loss = negative_elbo(model.decoder(mu), x, mu, logvar)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
