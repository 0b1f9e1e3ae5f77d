"""What runs the scripts, on the connection and in the transaction that `kist.catalog.migrating` gives."""

from alembic import context

from kist.catalog.indexes import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
