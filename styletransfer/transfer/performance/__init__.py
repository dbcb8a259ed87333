"""How a page is played: loudness, timing, pedal."""
