"""How Sluice is run. Nothing in here is imported by the apps."""
