"""The scripts, one after the other; a script that has been released never changes."""
