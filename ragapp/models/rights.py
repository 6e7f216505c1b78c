"""Who may read what inside a tenant, as conditions of queries."""

from django.db.models import Q

from ragapp.domain.reader import Reader, to_json


def readable(reader: Reader) -> Q:
    """Documents that ``reader`` may read."""
    if reader.sees_all:
        return Q()
    return Q(readers=[]) | Q(readers__has_any_keys=sorted(reader.principals))


def visible_runs(reader: Reader) -> Q:
    """Runs whose answer ``reader`` may see.

    A run that may have read limited documents is for readers who may read all that its asker may.
    """
    if reader.sees_all:
        return Q()
    return Q(is_limited=False) | Q(principals__contained_by=to_json(reader))
