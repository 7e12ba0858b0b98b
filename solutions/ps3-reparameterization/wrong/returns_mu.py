""" "The mean is the best guess for z": no draw at all.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    return mu + 0 * logvar
