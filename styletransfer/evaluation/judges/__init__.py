"""Judges: classifiers that say whose music it is, from the notes alone.

Begin with :mod:`styletransfer.evaluation.judges.judge`.
"""
