"""Training data: sources, duplicates, splits by content, training windows.

Begin with :mod:`styletransfer.data.prepare` and :mod:`styletransfer.data.library`. Uses music,
formats and tokens.
"""
