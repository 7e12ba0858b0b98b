"""The decoder gives the mean image, whatever z is.

Loses: train-hidden
"""

import torch

from vaelab.data import digits

model = build_model()
with torch.no_grad():
    first, last = model.decoder[0], model.decoder[2]
    first.weight.zero_()
    mean = digits().train.x.mean(0).clamp(1e-3, 1 - 1e-3)
    last.bias += mean.logit() - model.decode(torch.zeros(1, model.latent_dim))[0]
    model.posterior.weight.zero_()
    model.posterior.bias.zero_()
torch.save({"data": "digits", "weights": model.state_dict()}, "model.pt")


def train(model, x, beta=1.0):
    return {}
