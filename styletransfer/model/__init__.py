"""The network, its adapters, and decoding.

Begin with :mod:`styletransfer.model.loading` and :mod:`styletransfer.model.sampling`. Uses music,
tokens and styles.
"""
