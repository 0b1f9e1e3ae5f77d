"""The server: the API for programs, the pages for people; for the user of this machine, or for an organisation."""
