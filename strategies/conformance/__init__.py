"""What every strategy must keep, the catalog's and an operator's own: a generated market to run it on, and the checks."""
