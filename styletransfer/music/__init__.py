"""What music is: notes in time, keys, chords, melodies, hands, n-grams.

NumPy only, and nothing of files, tokens or models: those are in :mod:`styletransfer.formats`,
:mod:`styletransfer.tokens` and :mod:`styletransfer.model`. Begin with
:mod:`styletransfer.music.notes`.
"""
