"""Forgets optimizer.step().

Loses: train-step-visible, train-step-hidden, train-model-visible
"""


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    optimizer.zero_grad()
    loss.backward()
    return loss.item()
