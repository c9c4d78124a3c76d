"""The interfaces of other libraries, so that code which was written for them runs on runstore."""
