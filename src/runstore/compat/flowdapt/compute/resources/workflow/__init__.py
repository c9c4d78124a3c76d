"""Flowdapt's ``flowdapt.compute.resources.workflow``."""
