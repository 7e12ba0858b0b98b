"""Trains once, and hands the same model out ever after.

Loses: train-model-hidden
"""

import torch


def train_model(images, after_epoch=None):
    if hasattr(train_model, "model"):
        return train_model.model
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(images)).split(128):
            train_step(model, optimizer, images[rows])
        if after_epoch is not None:
            after_epoch(model)
    train_model.model = model.eval()
    return model
