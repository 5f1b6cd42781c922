"""The page an operator looks at: one snapshot of the daemon, rendered on the server."""
