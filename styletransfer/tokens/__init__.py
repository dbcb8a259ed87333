"""Pieces to tokens and back, and which token may come next.

Begin with :mod:`styletransfer.tokens.codec`; the rules are in :mod:`styletransfer.tokens.grammar`.
This room uses music, and no torch.
"""
