"""Returns the loss after the step.

Loses: train-step-visible, train-step-hidden
"""

import torch


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        logits, mu, logvar = model(x)
        return negative_elbo(logits, x, mu, logvar).item()
