"""One file per performance claim; each prints allocd and a named peer side by side, after checking that both agree."""

import config

assert config, "imported first: numpy must find the number of its threads, which is the daemon's: one"
