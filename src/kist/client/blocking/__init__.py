# Made by kist.client.generate from kist/client/asynchronous/__init__.py: change that, and run python -m kist.client.generate
"""The calls of `kist.Client` by subject, made from those of `kist.Client`."""
