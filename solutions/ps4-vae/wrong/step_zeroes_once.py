"""Clears the gradients in the first call only.

Loses: train-step-hidden, train-model-visible
"""


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    if not getattr(optimizer, "cleared", False):
        optimizer.zero_grad()
        optimizer.cleared = True
    loss.backward()
    optimizer.step()
    return loss.item()
