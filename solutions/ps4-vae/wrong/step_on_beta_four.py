"""Trains with beta = 4.

Loses: train-step-hidden, train-model-visible
"""


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    loss = negative_elbo(logits, x, mu, logvar, beta=4.0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
