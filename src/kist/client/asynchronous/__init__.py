"""The calls of `kist.AsyncClient` by subject, written by hand; those of `kist.Client` are made from them."""
