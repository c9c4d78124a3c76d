"""What all object stores share that are reached by requests: S3, Google, Azure.

What a store does
    _backend     the contract of `runstore.places.Backend`, on a client
    _upload      upload one object, by a single PUT or in parts, and recover when an answer is lost
    _download    read one object, by one request or by ranges of one version
    _conditions  whether the server keeps the conditions it is given
    _retry       retry until the store's timeout, or less where waiting does not help

What goes wrong
    _causes      our own codes, beside those of S3, which the others' are turned into
    _errors      a failure as one of our errors
    _logs        keep credentials out of the log of botocore

The clients
    _wire        what a client is: one call, one request
    _obstore, _obstore_failures  a client on obstore, and what that raises
    _attended, _loop, _rust  calls that hear Ctrl-C, and those that an event loop makes
"""
