"""What a page offers: its links, and its forms with each of their buttons."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve

# The admin has tests of its own, the API answers machines, a stream has no end.
_ELSEWHERE = ("/admin/", "/api/", "/static/", "/logout/")
_STREAMS = {"ragapp:run-events"}
# Requests of one view that differ only in what they name.
_MOST_OF_A_VIEW = 12


@dataclass(frozen=True, slots=True)
class Offer:
    """One request that a page offers: a link, or a form with one of its buttons."""

    url: str
    is_post: bool = False
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """The same for offers that differ in values of a query or a form only."""
        address = urlsplit(self.url)
        names = {name for name, _ in (*parse_qsl(address.query), *self.fields)}
        steps = frozenset(pair for pair in self.fields if pair[0] in {"step", "decision"})
        return (address.path, self.is_post, frozenset(names), steps)


@dataclass(slots=True)
class _Form:
    action: str
    is_post: bool
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[dict[str, str]] = field(default_factory=list)


class _Page(HTMLParser):
    """Reads the offers out of a page; what is disabled is none."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.url = url
        self.links: list[str] = []
        self.forms: list[_Form] = []
        self._form: _Form | None = None
        self._disabled: list[bool] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if link := given.get("hx-get") or (given.get("href") if tag == "a" else ""):
            self.links.append(urljoin(self.url, link))
        if tag == "form":
            action = urljoin(self.url, given.get("action", "")) or self.url
            self._form = _Form(action, given.get("method", "").lower() == "post")
            self.forms.append(self._form)
        elif tag == "fieldset":
            self._disabled.append("disabled" in given)
        elif self._form is not None and not any(self._disabled) and "disabled" not in given:
            self._control(tag, given, self._form)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "fieldset":
            self._disabled.pop()

    def _control(self, tag: str, given: dict[str, str], form: _Form) -> None:
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "button" and given.get("type", "submit") == "submit":
            form.buttons.append(given)
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in dict(form.fields)):
            form.fields.append((self._select, given.get("value", "")))
        elif name and tag in {"input", "textarea"} and kind not in {"file", "submit"}:
            is_left_out = kind in {"checkbox", "radio"} and "checked" not in given
            if not is_left_out:
                form.fields.append((name, given.get("value") or "1"))

    def offers(self) -> Iterator[Offer]:
        """In the order of the page."""
        yield from map(Offer, self.links)
        for form in self.forms:
            for button in form.buttons:
                pressed = {button["name"]: button.get("value", "")} if "name" in button else {}
                fields = tuple(({**dict(form.fields), **pressed}).items())
                url = urljoin(self.url, button.get("formaction", "")) or form.action
                yield Offer(url if "formaction" in button else form.action, form.is_post, fields)


def refused(client: Client, starts: Iterable[str]) -> dict[str, int]:
    """Each offer on any page reached from ``starts`` that is answered 403, 404 or 500.

    Posts are undone, so that one offer does not take away the next.
    """
    todo: deque[tuple[str, Offer]] = deque(("", Offer(start)) for start in starts)
    seen: set[tuple[object, ...]] = set()
    of_view: dict[str, int] = {}
    found = {}
    while todo:
        origin, offer = todo.popleft()
        if offer.key in seen or not _is_ours(offer, of_view):
            continue
        status, text = _ask(client, offer)
        is_refused = status in {403, 404, 500}
        if not origin and is_refused:
            continue  # Nobody offered it so far.
        seen.add(offer.key)
        if is_refused:
            verb = "POST" if offer.is_post else "GET"
            found[f"{origin}: {verb} {offer.url}"] = status
        if status == 200 and not offer.is_post:
            todo.extend((offer.url, each) for each in _Page(offer.url, text).offers())
    return found


def _is_ours(offer: Offer, of_view: dict[str, int]) -> bool:
    address = urlsplit(offer.url)
    if address.scheme or address.netloc or address.path.startswith(_ELSEWHERE):
        return False
    try:
        name = resolve(address.path).view_name
    except Resolver404:
        return True  # To be found broken.
    of_view[name] = of_view.get(name, 0) + 1
    return name not in _STREAMS and of_view[name] <= _MOST_OF_A_VIEW


def _ask(client: Client, offer: Offer) -> tuple[int, str]:
    if not offer.is_post:
        response = client.get(offer.url, dict(offer.fields) or None)
        text = "" if response.streaming else response.text
        return response.status_code, text
    with transaction.atomic():
        response = client.post(offer.url, dict(offer.fields))
        transaction.set_rollback(True)
    return response.status_code, ""
