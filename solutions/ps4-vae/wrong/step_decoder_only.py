"""Steps with the encoder's gradients removed.

Loses: train-step-hidden, train-model-visible
"""


def train_step(model, optimizer, x):
    logits, mu, logvar = model(x)
    loss = negative_elbo(logits, x, mu, logvar)
    optimizer.zero_grad()
    loss.backward()
    model.encoder.zero_grad()
    optimizer.step()
    return loss.item()
