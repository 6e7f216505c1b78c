"""Files and pages that try to give the agent orders, and what must hold for each of them."""
