"""allocd watching itself: each day's comparison of what was forecast with what happened."""
