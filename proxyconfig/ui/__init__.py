"""Pages of the front door: policies, plans, sync, connections."""
