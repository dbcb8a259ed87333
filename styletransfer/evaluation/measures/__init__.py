"""Measures of arrangements that need no judge, each defined in its module.

Each module names the source of its definition.

:mod:`styletransfer.evaluation.measures.overview` puts them together.
"""
