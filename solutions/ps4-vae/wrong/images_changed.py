"""Rounds the images in place.

Loses: train-model-visible, train-model-hidden
"""

import torch


def train_model(images, after_epoch=None):
    images.round_()
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(images)).split(128):
            train_step(model, optimizer, images[rows])
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
