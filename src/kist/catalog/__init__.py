"""Facts in SQL: who, what and where, on SQLite or PostgreSQL. What repositories hold is in their buckets, never only here."""
