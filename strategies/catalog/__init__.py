"""The strategies: one file each, a declaration named STRATEGY and a pure function from view to targets."""
