"""Flowdapt's ``flowdapt.compute.resources``."""
