"""Divides the loss by the number of pixels.

Loses: train-step-visible, train-step-hidden
"""


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    loss = loss / x.shape[1]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
