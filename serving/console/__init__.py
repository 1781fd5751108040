"""Pages for people, drawn on the server, over the same services as the interface; each also answers as JSON."""
