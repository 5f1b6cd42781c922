"""How to get there: orders, sleeves, tax lots, the broker gateway and the built-in paper exchange."""
