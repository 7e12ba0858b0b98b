"""Trains on the notebook's images, whatever it is given.

Loses: train-model-hidden
"""

import torch


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(train_images)).split(128):
            train_step(model, optimizer, train_images[rows])
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
