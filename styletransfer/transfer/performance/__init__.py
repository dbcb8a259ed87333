"""Play a page: loudness, timing, pedal."""
