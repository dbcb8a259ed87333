"""Recipes that make and measure the styles."""
