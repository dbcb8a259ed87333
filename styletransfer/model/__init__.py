"""The network, its adapters, decoding, and the harmoniser.

Begin with :mod:`styletransfer.model.loading` and :mod:`styletransfer.model.sampling`. Uses music,
tokens and styles.
"""
