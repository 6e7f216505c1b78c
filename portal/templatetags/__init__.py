"""Template tags for every app's pages."""
