"""Measures of arrangements that need no judge, a definition and its source in each module.

:mod:`styletransfer.evaluation.measures.overview` puts them together.
"""
