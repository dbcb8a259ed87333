"""What the server answers, by what is asked for."""
