"""The process that runs one plugin for the appliance. Started as `python -I -S -B <tree>/plugin_worker`."""
