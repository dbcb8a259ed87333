"""Recipes that make the base, the chord recogniser, the harmoniser and the index of copies."""
