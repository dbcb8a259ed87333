"""Write and show a result: MIDI, sound, piano roll, score, sidecar, notebook.

Begin with :mod:`styletransfer.outputs.save`. Uses music, formats, engraving and transfer.
"""
