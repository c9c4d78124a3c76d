"""Flowdapt's module paths, on runstore.

A stage that was written for Flowdapt 0.1 changes ``flowdapt`` to ``runstore.compat.flowdapt`` in
its imports. Objects and artifacts are those of the namespace, as there. What differs is in
docs/flowdapt.md.
"""
