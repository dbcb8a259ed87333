"""How good the music is, and whose: judges, measures, intervals.

Nothing here uses a model that writes music or the transfer, so that no measure can lean on what it
measures. Begin with :mod:`styletransfer.evaluation.assessment`. Uses music, formats, tokens and
data.
"""
