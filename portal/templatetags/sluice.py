"""The small parts that pages are made of: icons, badges, ages, sizes, durations and bars.

Nothing here decides anything: a state's word comes from ``tenants.domain.states``, this only gives
it an icon and a tone. Bars are SVG, since the content security policy forbids inline styles.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from tenants.domain.states import spaced

register = template.Library()

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Look:
    """How a state's badge looks: the tone names a CSS class, the icon a symbol of the sprite."""

    tone: str
    icon: str
    is_moving: bool = False


_OK, _MOVING = Look("ok", "check-circle"), Look("busy", "sync", is_moving=True)
_UNKNOWN = Look("idle", "question")

# Words that two enums share (Unknown, Failed, Cancelled) mean the same in both: one table serves.
LOOK_BY_WORD: Mapping[str, Look] = {
    "Draft": Look("idle", "edit"),
    "Planned": Look("info", "plan"),
    "AwaitingApproval": Look("warn", "clock"),
    "Approved": Look("info", "check"),
    "Refused": Look("danger", "deny"),
    "Applying": _MOVING,
    "Applied": _OK,
    "Failed": Look("danger", "x-circle"),
    "Cancelled": Look("idle", "stop"),
    "Superseded": Look("idle", "layers"),
    "RolledBack": Look("warn", "undo"),
    "InSync": _OK,
    "OutOfSync": Look("warn", "sync"),
    "Drifted": Look("warn", "drift"),
    "Unknown": _UNKNOWN,
    "Paused": Look("idle", "pause"),
    "Suspended": Look("danger", "stop"),
    "Healthy": Look("ok", "heart"),
    "Progressing": _MOVING,
    "Degraded": Look("danger", "alert"),
    "Missing": Look("idle", "dashed"),
    "Queued": Look("idle", "clock"),
    "Running": _MOVING,
    "Succeeded": _OK,
    "Saved": Look("idle", "document"),
    "Accepted": Look("ok", "check"),
    "Serving": Look("ok", "play"),
    "Allowed": Look("ok", "check"),
    "Denied": Look("danger", "deny"),
    "WouldDeny": Look("warn", "deny"),
    "Error": Look("danger", "alert"),
    "Found": _OK,
    "NotFound": Look("warn", "search"),
    "Blocked": Look("danger", "deny"),
    "Ready": _OK,
    "Reading": _MOVING,
    "Duplicate": Look("idle", "layers"),
    "Cited": _OK,
    "Supported": Look("info", "check"),
    "Unsupported": Look("warn", "alert"),
    "Doubtful": Look("warn", "question"),
    "Shown": Look("idle", "info"),
    "Better": Look("ok", "check"),
    "Worse": Look("danger", "alert"),
    "Mixed": Look("warn", "drift"),
    "Same": Look("idle", "minus"),
    "Equal": Look("idle", "minus"),
    "Unclear": _UNKNOWN,
    "TooFew": Look("idle", "dashed"),
    "True": Look("ok", "check"),
    "False": Look("danger", "x"),
    "Enforced": Look("ok", "check"),
    "Staged": Look("info", "dashed"),
    "Pending": Look("warn", "clock"),
    "Active": Look("ok", "check"),
    "Expired": Look("idle", "clock"),
    "Revoked": Look("idle", "deny"),
}


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A symbol of the sprite; decoration only, so hidden from screen readers."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        extra,
        static("portal/icons.svg"),
        name,
    )


@register.inclusion_tag("portal/components/badge.html")
def badge(word: str, *, title: str = "", href: str = "", large: bool = False) -> dict[str, object]:
    """Icon, word and colour of one state; an unknown word is shown plainly rather than hidden."""
    word = str(word)
    look = LOOK_BY_WORD.get(word) or LOOK_BY_WORD.get(word.capitalize(), Look("idle", "dot"))
    shown = spaced(word)
    return {"word": shown, "look": look, "title": title, "href": href, "large": large}


@register.inclusion_tag("portal/components/ago.html")
def ago(moment: datetime | str | None, *, empty: str = "") -> dict[str, object]:
    """A relative time whose tooltip gives the exact UTC; ISO text from stored JSON is read too."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment) if moment else None
    if moment is None:
        return {"moment": None, "empty": empty or gettext("never")}
    exact = moment.astimezone(UTC)
    return {"moment": exact, "text": relative(timezone.now() - moment)}


def relative(age: timedelta) -> str:
    """``3 s ago``, ``2 h ago``, ``in 5 min``: the largest unit that fits, rounded down."""
    seconds = int(abs(age.total_seconds()))
    if seconds < 1:
        return gettext("just now")
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            span = f"{seconds // size} {unit}"
            break
    if age < timedelta(0):
        return gettext("in %(span)s") % {"span": span}
    return gettext("%(span)s ago") % {"span": span}


@register.filter
def milliseconds(value: float | None) -> str:
    """``840 ms``, ``1.2 s``, ``2 min 5 s``; a dash for None."""
    if value is None:
        return NOTHING
    if value < 1000:
        return f"{value:.0f} ms"
    if value < 60_000:
        return f"{value / 1000:.1f} s"
    return f"{int(value // 60_000)} min {int(value % 60_000 // 1000)} s"


@register.simple_tag
def lasted(start: datetime | None, end: datetime | None = None) -> str:
    """How long something took, or has been going on; "" before it began."""
    if start is None:
        return ""
    return milliseconds(((end or timezone.now()) - start).total_seconds() * 1000)


@register.filter
def iec(size: int | None) -> str:
    """Bytes in IEC units, three digits at most: ``512 B``, ``4.2 KiB``."""
    if size is None:
        return NOTHING
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1000 or unit == "TiB":
            break
        amount /= 1024
    digits = 0 if unit == "B" or amount >= 100 else 1
    return f"{amount:.{digits}f} {unit}"


@register.filter
def signed(value: float | None, digits: int = 2) -> str:
    """A number with its sign, the typographic minus included; a dash for None."""
    if value is None:
        return NOTHING
    return f"{value:+.{digits}f}".replace("-", MINUS)


@register.filter
def plain_value(value: object) -> str:
    """A field's value in a diff: text as it is, an object one field a line, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(f"{name}: {plain_value(part)}" for name, part in value.items())
    return json.dumps(value, ensure_ascii=False)


@register.filter
def count_of(number: int, noun: str) -> str:
    """``3 documents``: ``noun`` is ``document|documents``; "" forms fall back to adding an s."""
    one, _, many = noun.partition("|")
    return f"{number:,} {ngettext(one, many or one + 's', number)}"


@register.filter
def in_words(name: str) -> str:
    """A setting's name as people read it: "dense_weight" is "Dense weight"."""
    return name.replace("_", " ").capitalize()


@register.filter
def thousands(number: int) -> str:
    """``12,345``."""
    return f"{number:,}"


@register.simple_tag
def bar(
    start: float, length: float, total: float, tone: str = "", *, small: bool = False
) -> SafeString:
    """A horizontal bar from ``start`` for ``length`` on an axis that ends at ``total``.

    A thing that took no time still gets a mark wide enough to be seen.
    """
    scale = 1000 / total if total > 0 else 0.0
    left = min(max(start * scale, 0.0), 994.0)
    width = min(max(length * scale, 6.0), 1000.0 - left) if not small else length * scale
    return format_html(
        '<svg class="bar {}" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-track" width="1000" height="10"></rect>'
        '<rect class="bar-fill {}" x="{}" width="{}" height="10"></rect></svg>',
        "bar-small" if small else "",
        f"bar-{tone}" if tone else "",
        f"{left:.1f}",
        f"{width:.1f}",
    )
