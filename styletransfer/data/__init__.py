"""Training data: sources, duplicates, splits by content, windows.

Begin with :mod:`styletransfer.data.prepare` and :mod:`styletransfer.data.library`. Uses music,
formats and tokens.
"""
