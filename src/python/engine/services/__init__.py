"""Services the appliance offers to plugins."""
