"""The built-in paper exchange: a matching engine, an account and an Alpaca-shaped server in front of them."""
