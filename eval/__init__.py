"""Recipes that measure: judges, transfer, juries of readers, the ranker."""
