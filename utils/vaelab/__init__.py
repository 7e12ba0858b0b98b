"""A small library of variational autoencoders: a model is two conditional distributions and one bound."""
