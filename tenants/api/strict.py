"""Serializers that refuse what they do not know."""

from typing import Any

from rest_framework import serializers

from tenants.api.filters import unknown_name


class StrictSerializer(serializers.Serializer[Any]):  # Any: what a request describes is no row yet.
    """Base of every request's body: a key that it does not declare is an error.

    A misspelt ``allowed_source`` that is quietly dropped would open an address to everybody.
    """

    def to_internal_value(self, data: Any) -> Any:  # Any: DRF's own signature.
        """The checked values.

        Raises:
            ValidationError: a field is wrong, or a key is unknown.
        """
        if isinstance(data, dict):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = {
                str(name): [unknown_name("field", str(name), known)]
                for name in data
                if name not in known
            }
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)
