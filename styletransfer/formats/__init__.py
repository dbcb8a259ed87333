"""Files to pieces and back: MIDI, MusicXML, Humdrum, ABC.

:mod:`styletransfer.formats.read` names the readers; a page for printing is made in
:mod:`styletransfer.engraving`. Uses music.
"""
