"""Recipes for the base, chord recogniser, harmoniser and index of copies."""
