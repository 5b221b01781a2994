"""Where inputs come from: each module reads one kind of place and gives `Inputs`."""
