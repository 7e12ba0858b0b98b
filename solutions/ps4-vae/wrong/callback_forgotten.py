"""Never calls after_epoch.

Loses: train-model-visible
"""

import torch


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(60):
        for rows in torch.randperm(len(images)).split(128):
            train_step(model, optimizer, images[rows])
    return model.eval()
