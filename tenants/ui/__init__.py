"""Pages of the ground: networks, operations, API tokens, the audit log."""
