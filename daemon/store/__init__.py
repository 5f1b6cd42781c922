"""Storage: PostgreSQL is the system of record, sealed Parquet segments read through DuckDB serve the views."""
