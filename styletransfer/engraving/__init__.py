"""A piece as a page: staves, voices, note values, spelling, files.

Files are MusicXML, SVG and PDF. Begin with :mod:`styletransfer.engraving.page`. This room uses
music and formats.
"""
