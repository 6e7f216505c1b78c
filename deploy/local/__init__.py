"""Supervises everything that Sluice needs on one machine: `make up`, `make dev` and the tests'
private stack.

``up`` is the way in. It takes the instance lock, clears what an earlier run left, decides on
secrets and ports, lists the services (``services``) and hands them to the ``Supervisor``. ``stack``
does the same for tests.
"""
