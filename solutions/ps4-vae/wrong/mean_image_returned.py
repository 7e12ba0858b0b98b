"""The decoder returns the mean image for every code; the KL is 0.

Loses: train-model-visible, train-model-hidden
"""

import torch
from torch import nn


class MeanImage(nn.Module):
    def __init__(self, image):
        super().__init__()
        self.logits = nn.Parameter(torch.logit(image.clamp(1e-3, 1 - 1e-3)))

    def forward(self, z):
        return self.logits.expand(len(z), -1)


class Prior(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 8), torch.zeros(len(x), 8)


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    model.encoder, model.decoder = Prior(), MeanImage(images.mean(0))
    for _ in range(2):
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
