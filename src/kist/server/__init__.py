"""The web site of one repository, for people: versions, files, what changed, and downloads. Read only, on this machine only."""
