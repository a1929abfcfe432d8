"""Building blocks of a plugin's batch pipeline."""
