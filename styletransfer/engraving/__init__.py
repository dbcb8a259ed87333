"""A piece as a page for piano: staves, voices, note values, spelling, MusicXML, SVG.

Begin with :mod:`styletransfer.engraving.page`. Pages become PDF as well. This room uses music and
formats.
"""
