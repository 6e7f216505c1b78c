"""What a browser would send for a form: its controls as they stand in the HTML."""

from html.parser import HTMLParser

from django import forms
from django.http import QueryDict


class _Controls(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sent = QueryDict(mutable=True)
        self._area: list[str] | None = None
        self._select = ""
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        name, value = given.get("name", ""), given.get("value") or ""
        if tag == "input" and given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                self.sent.appendlist(name, given.get("value", "on"))
        elif tag == "input":
            self.sent.appendlist(name, value)
        elif tag == "textarea":
            self._area, self._select = [], name
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((value, "selected" in given))

    def handle_data(self, data):
        if self._area is not None:
            self._area.append(data)

    def handle_endtag(self, tag):
        if tag == "textarea" and self._area is not None:
            # The newline after the tag is not content, and lines end as in a form's data.
            text = "".join(self._area).removeprefix("\r\n").removeprefix("\n")
            self.sent.appendlist(self._select, text.replace("\n", "\r\n"))
            self._area = None
        elif tag == "select" and self._options:
            chosen = next((value for value, is_it in self._options if is_it), self._options[0][0])
            self.sent.appendlist(self._select, chosen)


def sent(form: forms.Form, *, hidden: bool = False) -> QueryDict:
    """The form's data; ``hidden``: as a review carries it along."""
    controls = _Controls()
    for field in form:
        controls.feed(field.as_hidden() if hidden else str(field))
    return controls.sent
