"""One module per kind of policy: its fields, units and meaning."""
