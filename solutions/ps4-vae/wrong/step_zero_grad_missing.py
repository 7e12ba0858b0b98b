"""Gradients pile up from step to step.

Loses: train-step-visible, train-step-hidden, train-model-visible
"""


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    loss.backward()
    optimizer.step()
    return loss.item()
