"""What the authors of plug-ins share with kist's own tests: suites that an implementation passes, and collaborators that fail on request.

This package needs pytest and Hypothesis; nothing else in kist imports it.
"""
