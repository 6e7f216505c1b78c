"""Models behind the ports of ``ragapp/domain/engine.py``; a library is imported when used."""
