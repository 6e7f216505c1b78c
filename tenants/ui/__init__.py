"""Pages of the ground: operations, API tokens, the audit log."""
