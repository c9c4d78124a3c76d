"""Flowdapt's ``flowdapt.compute``: object store, artifacts, run context, `execute_workflow`."""
