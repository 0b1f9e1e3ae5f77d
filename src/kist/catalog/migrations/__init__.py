"""How the schema came to be what `kist.catalog.tables` says."""
