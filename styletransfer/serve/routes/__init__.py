"""The server's answers, by what is requested."""
