"""Models behind the ports of ``ragapp/domain/engine.py``; each imports its library only when used."""
