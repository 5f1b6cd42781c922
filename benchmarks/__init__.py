"""One file per performance claim; each prints allocd and a named peer side by side, after checking that both agree."""
