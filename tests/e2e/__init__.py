"""The product as its users meet it: all processes real, a real browser, the world at the wire."""
