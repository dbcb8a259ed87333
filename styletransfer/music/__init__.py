"""What music is: notes in time, keys, chords, melodies, hands, ensembles, n-grams.

NumPy only, and nothing of files, tokens or models: those are in :mod:`styletransfer.formats`,
:mod:`styletransfer.tokens` and :mod:`styletransfer.model`. Begin with
:mod:`styletransfer.music.notes`. Who plays is here, in :mod:`styletransfer.music.ensemble`, since
MIDI files and pages need it as much as the transfer does, and may not use that room.
"""
