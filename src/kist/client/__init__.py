"""Clients of an organisation: of a server over HTTP, or of the service in this process; the same calls, the same answers."""
