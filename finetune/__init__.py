"""Recipes that make the styles and what is measured of them."""
