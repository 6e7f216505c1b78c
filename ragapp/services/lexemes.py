"""Which words of a text count for BM25: one definition for the index and for each question.

PostgreSQL's ``english`` configuration drops stop words and stems; numbers, versions, host names,
paths and e-mail addresses it already keeps whole, by its ``simple`` dictionary. Of those compounds
the parts count as well (``acme/default-deny`` and also ``acme``, ``default-deny``, ``default``), so
that a question may name a part. A term's frequency is the larger of its two counts: each plain word
stands in both readings of the text.
"""

from psycopg import sql

# What joins the parts of a compound, between two letters: 3.14 and 10.0.0.0/8 stay whole.
_JOINTS = r"(?<=[[:alpha:]])[._/\\:@]+(?=[[:alpha:]])"

_TERMS = sql.SQL(
    "SELECT lexeme AS term, max(cardinality(positions)) AS frequency FROM ("
    " SELECT * FROM unnest(to_tsvector('english', {text}))"
    " UNION ALL"
    " SELECT * FROM unnest(to_tsvector('english', regexp_replace({text}, {joints}, ' ', 'g')))"
    ") AS lexemes GROUP BY lexeme"
)


def terms(text: sql.Composable) -> sql.Composed:
    """A SELECT of ``term`` and ``frequency``, one row for each term of the SQL text ``text``."""
    return _TERMS.format(text=text, joints=sql.Literal(_JOINTS))
