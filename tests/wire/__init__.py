"""Stand-ins for the world outside, spoken to over real sockets. Not product code.

``search`` speaks SearXNG's JSON protocol, ``docsite`` shows the project's own docs as a web site.
Tests and the demo of ``make up`` use them where no internet is; the product only knows their URLs
and would not notice a real search service in their place.

    python -m tests.wire    (both, as the demo runs them)
    python -m tests.wire.search --address 127.30.0.10:8081 --corpus docs
    python -m tests.wire.docsite --address 127.30.0.20:8082 --root docs

Each request gives one JSON line on standard output (``--log FILE`` appends it to a file too), and
``GET /_seen`` returns the latest requests with the client address that this side saw. So a test can
assert which SNAT address a connection left from.
"""
